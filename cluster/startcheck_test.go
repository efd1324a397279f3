package cluster

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/raft"

	"pipesync/internal/durable"
)

// A snapshot's index counts barriers, which the state machine never sees. A
// state that holds all of the snapshot's entries is not restored all the same.
func TestIdleRestartRestoresNothing(t *testing.T) {
	t.Parallel()
	m := newMember(t, "solo")
	if err := m.Bootstrap(m.ctx()); err != nil {
		t.Fatal(err)
	}
	m.mustPropose("a")
	m.restart(false)
	m.read() // there is a leader again, its barrier done
	m.cutLog()
	m.stop()
	if m.newestSnapshot().Index <= m.sm.Applied() {
		t.Fatalf("no snapshot is beyond entry %d: the test proves nothing", m.sm.Applied())
	}
	m.gate = &testGate{}
	m.start()
	if got := m.read(); !slices.Equal(got, []string{"a"}) || m.sm.restored() != 0 {
		t.Errorf("read %q after %d restores", got, m.sm.restored())
	}
}

func (m *member) newestSnapshot() *raft.SnapshotMeta {
	m.t.Helper()
	list, err := m.snapshots().List()
	if err != nil || len(list) == 0 {
		m.t.Fatalf("%d snapshots, %v", len(list), err)
	}
	return list[0]
}

// Each start is of files that are not of one history. With the right ones the
// node starts: nothing was changed by the refusal.
func TestStartRefusesWhatDoesNotBelongTogether(t *testing.T) {
	t.Parallel()
	m := newMember(t, "solo")
	if err := m.Bootstrap(m.ctx()); err != nil {
		t.Fatal(err)
	}
	for _, body := range []string{"a", "b"} {
		m.mustPropose(body)
	}
	m.cutLog()
	m.mustPropose("c")
	snapshots, aside := filepath.Join(m.stateDir(), "snapshots"), filepath.Join(t.TempDir(), "aside")
	foreign := filepath.Join(m.cfg.DataDir, "raft", "snapshots")
	move := func(from, to string) {
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name, want string
		spoil      func(sm *bytelog)
		mend       func()
	}{
		{name: "the log lost its end", want: "but the log ends at", spoil: func(sm *bytelog) { sm.applied += 100 }},
		{name: "another term", want: "of different histories", spoil: func(sm *bytelog) { sm.term++ }},
		{name: "the snapshot is another's", want: "comparing the state with snapshot", spoil: func(sm *bytelog) {
			sm.applied, sm.term = sm.image.Applied, sm.image.Term+1
		}},
		{name: "the snapshot is gone", want: "no snapshot holds the entries from 1 on",
			spoil: func(*bytelog) { move(snapshots, aside) },
			mend:  func() { _ = os.RemoveAll(snapshots); move(aside, snapshots) }},
		{name: "the snapshot's stream is gone", want: "comparing the state with snapshot",
			spoil: func(*bytelog) { move(m.stateFile(), aside) },
			mend:  func() { move(aside, m.stateFile()) }},
		{name: "the snapshot can't be restored", want: "restoring the newest snapshot: the disk is worn out",
			spoil: func(sm *bytelog) {
				sm.applied, sm.term, sm.entries = 0, 0, nil
				sm.failRestore = func() error { return errors.New("the disk is worn out") }
			}},
		{name: "snapshots of another version", want: "which it can't read",
			spoil: func(*bytelog) {
				if err := durable.MakeDir(foreign); err != nil {
					t.Fatal(err)
				}
			},
			mend: func() { _ = os.Remove(foreign) }},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "-"), func(t *testing.T) {
			m.stop()
			m.gate = &testGate{}
			right := m.sm.copy()
			c.spoil(m.sm)
			n, err := m.open()
			if err == nil {
				_ = n.Shutdown(m.ctx())
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), startCure) {
				t.Errorf("%v, want %q", err, c.want)
			}
			if c.mend != nil {
				c.mend()
			}
			m.sm = right
			m.start()
			if got := m.read(); !slices.Equal(got, []string{"a", "b", "c"}) {
				t.Errorf("with the right files: %q", got)
			}
		})
	}
}

func (m *member) stateFile() string {
	m.t.Helper()
	return filepath.Join(m.stateDir(), "snapshots", m.newestSnapshot().ID, "state.bin")
}
