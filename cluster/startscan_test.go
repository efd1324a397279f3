package cluster

import (
	"bytes"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// scanAsRaft reads what raft.NewRaft does.
func scanAsRaft(t *testing.T, log raft.LogStore, snapshot, last uint64) (seen []raft.Log) {
	t.Helper()
	for _, index := range append([]uint64{last}, indexes(snapshot+1, last)...) {
		var e raft.Log
		if err := log.GetLog(index, &e); err != nil {
			t.Fatal(err)
		}
		seen = append(seen, e)
	}
	return seen
}

func indexes(first, last uint64) (all []uint64) {
	for i := first; i <= last; i++ {
		all = append(all, i)
	}
	return all
}

// A start leaves out what is large in commands that are applied, and nothing else; later all
// of it is there.
func TestStartSkimsWhatIsApplied(t *testing.T) {
	large, small := bytes.Repeat([]byte("x"), skimmedBytes), []byte("small")
	kinds := []*raft.Log{
		{Type: raft.LogConfiguration, Data: small}, {Type: raft.LogCommand, Data: large}, {Type: raft.LogCommand, Data: small},
		{Type: raft.LogNoop}, {Type: raft.LogConfiguration, Data: large}, {Type: raft.LogBarrier, Data: large},
		{Type: raft.LogCommand, Data: large, Extensions: []byte("stamp")}, {Type: raft.LogCommand, Data: large},
	}
	for i, e := range kinds {
		e.Index, e.Term, e.AppendedAt = uint64(i+1), 3, time.Now()
	}
	last := uint64(len(kinds))
	for snapshot := range last {
		for applied := snapshot; applied <= last; applied++ {
			store, _ := openTestLog(t, t.TempDir())
			if err := store.sealed().StoreLogs(kinds); err != nil {
				t.Fatal(err)
			}
			if err := store.scan.begin(snapshot, applied); err != nil {
				t.Fatal(err)
			}
			where := fmt.Sprintf("snapshot %d, applied %d", snapshot, applied)
			var logged int64
			seen := scanAsRaft(t, store.log, snapshot, last)
			for i, got := range seen {
				want := kinds[got.Index-1]
				if i > 0 {
					logged += entryBytes(want)
				}
				mayLack := i > 0 && got.Index <= applied && got.Index < last && want.Type == raft.LogCommand && len(want.Data) >= skimmedBytes
				switch lacks := len(got.Data) < len(want.Data); {
				case got.Type != want.Type || lacks != mayLack:
					t.Errorf("%s: entry %d of kind %s has %d bytes of %d", where, got.Index, got.Type, len(got.Data), len(want.Data))
				case !lacks && !sameEntry(&got, want):
					t.Errorf("%s: entry %d is %+v", where, got.Index, got)
				}
			}
			count, bytes := store.metered.entries.Load(), store.metered.bytes.Load()
			if count != int64(last-snapshot) || bytes < logged || bytes > logged+200*count {
				t.Errorf("%s: counted %d entries of %d bytes, there are %d of %d", where, count, bytes, last-snapshot, logged)
			}
			for _, want := range kinds { // also where the scan isn't said to have ended
				var got raft.Log
				if err := store.log.GetLog(want.Index, &got); want.Index > snapshot && (err != nil || !sameEntry(&got, want)) {
					t.Errorf("%s: after the scan entry %d: %v, %d bytes", where, want.Index, err, len(got.Data))
				}
			}
			store.scan.end()
			if err := store.file.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// Of an entry that was skimmed, rot is found where Raft reads it again.
func TestRotOfSkimmedEntries(t *testing.T) {
	t.Parallel()
	m := newMember(t, "solo")
	if err := m.Bootstrap(m.ctx()); err != nil {
		t.Fatal(err)
	}
	bodies := []string{strings.Repeat("a", skimmedBytes), "b"}
	for _, body := range bodies {
		m.mustPropose(body)
	}
	dir := filepath.Join(m.cfg.DataDir, "raft")
	m.stop()
	m.gate, m.sm = &testGate{}, m.sm.copy()
	store, _ := openTestLog(t, dir)
	index := firstOfKind(t, store, raft.LogCommand)
	if err := store.file.Close(); err != nil {
		t.Fatal(err)
	}
	r := rotEntry(t, dir, index)
	rotten := bytes.Clone(r.stored)
	at := bytes.Index(rotten, []byte("aaaa"))
	rotten[at] ^= 0x10
	r.find(r.stored)
	r.put(at, rotten[at])

	ends := m.cfg.Fatal
	told := make(chan error, 1)
	m.cfg.Fatal = func(err error) {
		told <- err
		runtime.Goexit() // a real one ends the process
	}
	m.start()
	want := fmt.Sprintf("entry %d of the log in raft.db has rotted", index)
	if err := <-told; !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), startCure) {
		t.Errorf("it ends with %v, want %q", err, want)
	}
	m.end()

	m.cfg.Fatal = ends
	r.find(rotten)
	r.put(at, r.stored[at])
	m.gate, m.sm = &testGate{}, m.sm.copy()
	m.start()
	if got := m.read(); !slices.Equal(got, bodies) {
		t.Errorf("with the byte as it was it has %d entries", len(got))
	}
}
