package fsm

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"pipesync/storage"
)

func TestCovers(t *testing.T) {
	r := newRig(t)
	early := r.snapshot() // before bootstrap
	r.setUp(10)
	first := r.snapshot()
	r.mustApply(newSync(Incremental, upsert("n", "a", "1")))
	second := r.snapshot()

	fresh := newRig(t)
	behind := newRig(t)
	must(t, behind.restore(first))
	for _, c := range []struct {
		name   string
		rig    *rig
		stream []byte
		want   bool
	}{
		{"older", r, first, true},
		{"as new", r, second, true},
		{"before bootstrap", r, early, true},
		{"newer", behind, second, false},
		{"into nothing", fresh, first, false},
		{"nothing into nothing", fresh, early, true},
	} {
		got, err := c.rig.fsm.Covers(bytes.NewReader(c.stream))
		if err != nil || got != c.want {
			t.Errorf("%s: %v, %v", c.name, got, err)
		}
	}
	// Only the header counts: what follows may be large, or on its way.
	header := headerBytes(t, first)
	if got, err := r.fsm.Covers(bytes.NewReader(header)); err != nil || !got {
		t.Errorf("the header alone: %v, %v", got, err)
	}
	for at := range header {
		spoilt := bytes.Clone(header)
		spoilt[at] ^= 1
		if _, err := r.fsm.Covers(bytes.NewReader(spoilt)); !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrUnknownFormat) {
			t.Fatalf("byte %d: %v", at, err)
		}
	}
}

func headerBytes(t *testing.T, stream []byte) []byte {
	t.Helper()
	n := int(stream[2])<<24 | int(stream[3])<<16 | int(stream[4])<<8 | int(stream[5])
	return stream[:snapshotPrefixBytes+n+4]
}

func TestCoveredByOneHistoryOnly(t *testing.T) {
	ours, theirs := storage.Epoch{1}, storage.Epoch{2}
	for _, c := range []struct {
		name     string
		snapshot snapshotHeader
		state    storage.System
		want     bool
		refused  bool
	}{
		{"another epoch, older", snapshotHeader{Epoch: theirs, AppliedIndex: 5, AppliedTerm: 1}, storage.System{Epoch: ours, AppliedIndex: 9, AppliedTerm: 1}, false, true},
		{"another epoch, newer", snapshotHeader{Epoch: theirs, AppliedIndex: 9, AppliedTerm: 1}, storage.System{Epoch: ours, AppliedIndex: 5, AppliedTerm: 1}, false, true},
		{"the same entry in another term", snapshotHeader{Epoch: ours, AppliedIndex: 9, AppliedTerm: 1}, storage.System{Epoch: ours, AppliedIndex: 9, AppliedTerm: 2}, false, true},
		{"a state that lost its epoch", snapshotHeader{Epoch: ours, AppliedIndex: 5, AppliedTerm: 1}, storage.System{AppliedIndex: 9, AppliedTerm: 1}, false, true},
		{"a snapshot that lost its epoch", snapshotHeader{AppliedIndex: 9, AppliedTerm: 1}, storage.System{Epoch: ours, AppliedIndex: 5, AppliedTerm: 1}, false, true},
		{"a state before bootstrap", snapshotHeader{Epoch: ours, AppliedIndex: 9, AppliedTerm: 1}, storage.System{AppliedIndex: 5, AppliedTerm: 1}, false, false},
		{"a snapshot before bootstrap", snapshotHeader{AppliedIndex: 5, AppliedTerm: 1}, storage.System{Epoch: ours, AppliedIndex: 9, AppliedTerm: 1}, true, false},
	} {
		got, err := c.snapshot.coveredBy(c.state)
		if got != c.want || (err != nil) != c.refused {
			t.Errorf("%s: %v, %v", c.name, got, err)
		}
		if err != nil && !strings.Contains(err.Error(), "of different histories") {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestPosition(t *testing.T) {
	r := newRig(t)
	at := func(index, term uint64) {
		t.Helper()
		if i, tm := r.fsm.Position(); i != index || tm != term {
			t.Errorf("at %d of term %d, want %d of %d", i, tm, index, term)
		}
	}
	at(0, 0)
	r.setUp(10)
	at(12, testTerm)
	r.reopen()
	at(12, testTerm)
	stream := r.snapshot()
	r.mustApply(newSync(Incremental))
	at(14, testTerm)
	must(t, r.restore(stream))
	at(12, testTerm)
}
