package simcluster

import (
	"time"

	"pipesync/fsm"
)

const (
	windowLimit  = 60
	windowMillis = 60_060
	realMinute   = time.Minute
)

// window is what an organization may sync, and what it has.
type window struct {
	limits []limit // in the order of the log; there is one
	syncs  []admitted
}

// limit holds from an entry on.
type limit struct {
	index    uint64
	requests uint64
	bytes    uint64 // 0: any
}

// admitted is a sync that was.
type admitted struct {
	index uint64
	at    int64     // cluster time
	real  time.Time // when the leader had stamped it
	bytes uint64
}

func newWindow() *window { return &window{limits: []limit{{requests: windowLimit}}} }

// at is the limit after entry index.
func (w *window) at(index uint64) limit {
	i := len(w.limits) - 1
	for i > 0 && w.limits[i].index > index {
		i--
	}
	return w.limits[i]
}

// count adds up the last of those that were admitted up to entry index.
func (w *window) count(index uint64, counts func(*admitted) bool) (requests, bytes uint64) {
	for i := len(w.syncs) - 1; i >= 0; i-- {
		a := &w.syncs[i]
		if a.index > index {
			continue
		}
		if !counts(a) {
			break
		}
		requests++
		bytes += a.bytes
	}
	return requests, bytes
}

// room says whether after entry index, at the cluster time now, there is any for a
// sync of so many bytes.
func (w *window) room(index uint64, now int64, bytes uint64) bool {
	limit := w.at(index)
	requests, had := w.count(index, func(a *admitted) bool { return a.at > now-windowMillis*int64(time.Millisecond) })
	return requests < limit.requests && (limit.bytes == 0 || had+bytes <= limit.bytes)
}

// admit takes up a sync, and returns whether a minute of real time had more than it
// may.
func (w *window) admit(a admitted) (over bool) {
	w.syncs = append(w.syncs, a)
	limit := w.at(a.index)
	requests, bytes := w.count(a.index, func(b *admitted) bool { return a.real.Sub(b.real) < realMinute })
	return requests > limit.requests || limit.bytes > 0 && bytes > limit.bytes
}

// credential is an API key as the log has made it.
type credential struct {
	org     string
	revoked uint64 // by which entry; 0: it isn't
	expires int64  // wall time; 0: never
}

// admits says whether an entry of the wall time may use the key for the organization.
func (c *credential) admits(org string, wall int64) bool {
	return c != nil && c.org == org && c.revoked == 0 && (c.expires == 0 || wall < c.expires)
}

func (c *credential) end(index uint64, wall int64, overlapSeconds uint32) {
	ends := wall + int64(overlapSeconds)*int64(time.Second)
	switch {
	case overlapSeconds == 0:
		c.revoked = index
	case c.expires == 0 || ends < c.expires:
		c.expires = ends
	}
}

// tenant is an organization.
type tenant struct {
	window *window
	stores map[string]bool // that there are
	ended  uint64          // by which entry its last life
}

func (l *ledger) tenant(org string) *tenant {
	t, ok := l.tenants[org]
	if !ok {
		t = &tenant{window: newWindow(), stores: make(map[string]bool)}
		l.tenants[org] = t
	}
	return t
}

// administered takes up what an entry that is no sync has done.
func (l *ledger) administered(index uint64, stamp fsm.Stamp, command fsm.Command, r *fsm.Result) {
	if r.Outcome != fsm.OK {
		return
	}
	switch c := command.(type) {
	case *fsm.KeyCreate:
		if r.Created {
			l.keys[c.KeyID] = &credential{org: c.Org}
			l.tenant(c.Org).stores[c.DefaultStore] = true
		}
	case *fsm.KeyRotate:
		if old := l.keys[c.KeyID]; r.Created && old != nil {
			l.keys[c.NewKeyID] = &credential{org: old.org}
			old.end(index, stamp.WallTime, c.OverlapSeconds)
		}
	case *fsm.KeyRevoke:
		if key := l.keys[c.KeyID]; key == nil {
			l.w.violate("entry %d revoked a key that isn't there", index)
		} else if key.revoked == 0 {
			key.revoked = index
		}
	case *fsm.LimitsSet:
		l.tenant(c.Org).window.set(index, c.Figures)
	case *fsm.NamespaceDelete:
		l.authorized(index, c.KeyID, c.Org, stamp.WallTime)
		l.contents(c.Org, c.Namespace).clear(index)
	case *fsm.CheckpointDelete:
		l.authorized(index, c.KeyID, c.Org, stamp.WallTime)
		l.checkpoints(c.Org).forget(index, c.Pipeline)
	case *fsm.StoreCreate:
		l.tenant(c.Org).stores[c.Store] = true
	case *fsm.StoreDelete:
		l.dropStore(index, c.Org, c.Store)
	case *fsm.OrgDelete:
		l.dropOrg(index, c.Org)
	}
}

func (w *window) set(index uint64, figures []fsm.FigureValue) {
	next := w.at(index)
	next.index = index
	for _, f := range figures {
		switch name := fsm.LimitsFigures[f.Number-1].Name; {
		case name == "requests_per_window" && f.Value == 0:
			next.requests = windowLimit
		case name == "requests_per_window":
			next.requests = f.Value
		case name == "bytes_per_window":
			next.bytes = f.Value
		}
	}
	w.limits = append(w.limits, next)
}

// authorized checks the key of an entry that was applied.
func (l *ledger) authorized(index uint64, keyID, org string, wall int64) {
	if key := l.keys[keyID]; !key.admits(org, wall) {
		l.w.violate("entry %d was applied for %s at %d under a key that may not: %+v", index, org, wall, key)
	}
}

func (l *ledger) dropStore(index uint64, org, store string) {
	delete(l.tenant(org).stores, store)
	for _, ns := range append([]string{late}, tracked...) {
		held := l.contents(org, ns)
		held.clear(index)
		held.order = order{}
	}
}

// dropOrg ends a life of an organization. What it remembered of requests is gone:
// one may be applied once more.
func (l *ledger) dropOrg(index uint64, org string) {
	l.dropStore(index, org, store)
	held := l.checkpoints(org)
	held.clear(index)
	held.order = order{}
	l.tenants[org] = &tenant{window: newWindow(), stores: make(map[string]bool), ended: index}
	for id, key := range l.keys {
		if key.org == org {
			delete(l.keys, id)
		}
	}
	for _, c := range l.claims {
		if c.org == org && c.index != 0 {
			c.past = append(c.past, landing{c.index, c.syncID})
			c.landing = landing{}
		}
	}
}

// revokedNow checks that a revocation that was acknowledged has been applied.
func (l *ledger) revokedNow(keyID string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if key := l.keys[keyID]; key != nil && key.revoked == 0 {
		l.w.violate("%s was told to be revoked, and isn't", keyID)
	}
}

// served checks that a read that shows the state at index was allowed there.
func (l *ledger) served(keyID string, index uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if key := l.keys[keyID]; key != nil && key.revoked != 0 && key.revoked <= index {
		l.w.violate("a read under a key that entry %d revoked shows the state at entry %d", key.revoked, index)
	}
}
