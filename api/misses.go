package api

import (
	"sync"
	"time"
)

const (
	maxMisses    = 10_000
	missLifetime = time.Second
)

// misses remembers for a short while which keys and stores were absent at the
// leader's read index, so that repeating a bad request costs no round each
// time. At its bound it forgets what is expired, else all: a forgotten miss
// costs one look-up.
type misses struct {
	now      func() time.Time
	lifetime time.Duration
	max      int

	mu    sync.Mutex
	until map[string]time.Time
}

func newMisses(maxEntries int, lifetime time.Duration, now func() time.Time) *misses {
	return &misses{now: now, lifetime: lifetime, max: maxEntries, until: make(map[string]time.Time)}
}

func (m *misses) has(name string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	until, ok := m.until[name]
	if ok && !m.now().Before(until) {
		delete(m.until, name)
		return false
	}
	return ok
}

func (m *misses) add(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	if len(m.until) >= m.max {
		m.makeRoom(now)
	}
	m.until[name] = now.Add(m.lifetime)
}

func (m *misses) makeRoom(now time.Time) {
	for name, until := range m.until {
		if !now.Before(until) {
			delete(m.until, name)
		}
	}
	if len(m.until) >= m.max {
		clear(m.until)
	}
}
