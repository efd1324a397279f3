package auditlog

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const maxTestWait = 60 * time.Second

type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// rig is a log and where it writes to.
type rig struct {
	*Log
	t    *testing.T
	path string
	at   *clock
}

func newRig(t *testing.T, maxBytes int64) *rig {
	t.Helper()
	r := &rig{t: t, path: filepath.Join(t.TempDir(), "audit", "audit.log"), at: &clock{at: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}}
	r.Log = Open(Options{
		Path: r.path, MaxBytes: maxBytes, Node: "n1", Now: r.at.now, Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(),
	})
	return r
}

// end closes the log and returns its lines, the oldest first.
func (r *rig) end() (events []Event) {
	r.t.Helper()
	r.close()
	for i := keptFiles - 1; i >= 0; i-- {
		path := r.path
		if i > 0 {
			path = fmt.Sprintf("%s.%d", r.path, i)
		}
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			r.t.Fatal(err)
		}
		for line := range bytes.Lines(text) {
			var e Event
			if err := json.Unmarshal(line, &e); err != nil {
				r.t.Fatalf("%s: %v", line, err)
			}
			events = append(events, e)
		}
	}
	return events
}

func (r *rig) close() {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), maxTestWait)
	defer cancel()
	if err := r.Close(ctx); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) await(what string, is func() bool) {
	r.t.Helper()
	for deadline := time.Now().Add(maxTestWait); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			r.t.Fatalf("waiting for %s", what)
		}
	}
}

func (r *rig) holds(text string) func() bool {
	return func() bool {
		all, _ := os.ReadFile(r.path)
		return strings.Contains(string(all), text)
	}
}

func TestLinesAreWritten(t *testing.T) {
	r := newRig(t, 1<<20)
	r.Record(Event{RequestID: "r1", Actor: "certificate:alice", Action: "POST /v1/admin/keys", Target: map[string]string{"key_id": "key_1"}, Status: 201})
	r.Refuse(Event{RequestID: strings.Repeat("é", 200), Actor: "key:key_2", Status: 401, Code: "INVALID_API_KEY", Target: map[string]string{"id": strings.Repeat("x", 1<<16)}}, "a")
	events := r.end()
	if len(events) != 2 || events[0].Event != Admin || events[1].Event != Refused || events[0].Target["key_id"] != "key_1" || events[0].Node != "n1" || !events[0].Time.Equal(r.at.now()) {
		t.Fatalf("%+v", events)
	}
	if id, target := events[1].RequestID, events[1].Target["id"]; id != strings.Repeat("é", 128)+"…" || target != strings.Repeat("x", 256)+"…" {
		t.Errorf("what is long is cut to %q and %q", id, target)
	}
	if info, err := os.Stat(r.path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}

// Whoever is refused again and again has one line a minute and a count; others beside him
// have theirs, up to a bound.
func TestAFloodOfRefusalsIsCounted(t *testing.T) {
	r := newRig(t, 1<<20)
	for i := range 3 * maxRefusals {
		for range 5 {
			r.Refuse(Event{Actor: fmt.Sprint(i)}, fmt.Sprint(i))
		}
	}
	r.Record(Event{Actor: "an administrator"}) // is never left out
	r.at.advance(refusalWindow)
	r.Refuse(Event{Actor: "later"}, "1")
	r.Refuse(Event{Actor: "again"}, "1")
	events := r.end()
	if len(events) != maxRefusals+4 {
		t.Fatalf("%d lines: %+v", len(events), events)
	}
	tail := events[maxRefusals:]
	const left = 3*maxRefusals*5 - maxRefusals
	if tail[0].Event != Admin || tail[1].Event != LeftOut || tail[1].Count != left || tail[2].Actor != "later" || tail[3].Event != LeftOut || tail[3].Count != 1 {
		t.Errorf("%+v", tail)
	}
}

func TestFilesAreBounded(t *testing.T) {
	const maxBytes = 8 * 1024
	r := newRig(t, maxBytes)
	const lines = 200
	for i := range lines {
		r.Record(Event{RequestID: fmt.Sprint(i), Reason: strings.Repeat("x", 100)})
		if i%100 == 0 { // the queue is no part of this
			r.await("the line", r.holds(fmt.Sprintf(`"request_id":"%d"`, i)))
		}
	}
	events := r.end()
	files, err := filepath.Glob(r.path + "*")
	if err != nil || len(files) != keptFiles {
		t.Fatalf("%v, %v", files, err)
	}
	var bytes int64
	for _, path := range files {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		bytes += info.Size()
	}
	if bytes > maxBytes || bytes < maxBytes/2 {
		t.Errorf("they have %d bytes", bytes)
	}
	for i, e := range events {
		if want := fmt.Sprint(lines - len(events) + i); e.RequestID != want {
			t.Fatalf("line %d is %s, want %s: the newest, in order", i, e.RequestID, want)
		}
	}
}

// Somebody who moves the file says so, and the next line is in a new one.
func TestReopen(t *testing.T) {
	r := newRig(t, 1<<20)
	r.Record(Event{RequestID: "before"})
	r.await("the first line", r.holds("before"))
	if err := os.Rename(r.path, r.path+".moved"); err != nil {
		t.Fatal(err)
	}
	r.Reopen()
	i := 0
	r.await("a new file", func() bool { // the signal and lines come by different ways
		i++
		r.Record(Event{RequestID: fmt.Sprint(i)})
		_, err := os.Stat(r.path)
		return err == nil
	})
	r.close()
}

// What can't be written is told for as long as it can't.
func TestAFileThatCannotBeWritten(t *testing.T) {
	r := newRig(t, 1<<20)
	if err := os.MkdirAll(r.path, 0o700); err != nil { // a directory is in its place
		t.Fatal(err)
	}
	r.Record(Event{RequestID: "lost"})
	r.await("the problem", func() bool { return r.Problem() != nil })
	if text := r.Problem().Error(); !strings.Contains(text, r.path) || !strings.Contains(text, "lines lost since the node started: 1") {
		t.Error(text)
	}
	if err := os.Remove(r.path); err != nil {
		t.Fatal(err)
	}
	r.Record(Event{RequestID: "kept"})
	r.await("its end", func() bool { return r.Problem() == nil })
	if events := r.end(); len(events) != 1 || events[0].RequestID != "kept" {
		t.Errorf("%+v", events)
	}
}

// A disk that hangs holds nobody up: what doesn't fit the queue is lost, and told.
func TestAFullQueue(t *testing.T) {
	r := newRig(t, 1<<20)
	r.close() // so that nobody takes lines
	for range maxQueuedLines + 3 {
		r.Record(Event{})
	}
	if err := r.Problem(); err == nil || !strings.Contains(err.Error(), "1024 lines wait for the disk; lines lost since the node started: 3") {
		t.Error(err)
	}
}
