package fsm

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pipesync/internal/crashfs"
)

// TestCrashAtEachWriteOfASnapshot crashes at each write of making, receiving and
// restoring a snapshot, until none is left. What was there before is there
// afterwards; the new one is either whole or gone, and whole where raft was told
// so.
func TestCrashAtEachWriteOfASnapshot(t *testing.T) {
	leader := newCrashingRig(t)
	leader.setUp(10)
	leader.mustApply(newSync(Incremental, upsert("n", "a", "1"), upsert("n", "b", "1")))
	leader.mustApply(newSync(Incremental, upsert("n", "a", "2")))
	received := leader.snapshot() // of entry 16
	target := dump(t, leader.fsm)

	for name, op := range map[string]func(r *rig) error{
		"make":    func(r *rig) error { r.persist(); return nil },
		"receive": func(r *rig) error { _, err := r.install(bytes.NewReader(received), 16); return err },
		"restore": func(r *rig) error { return r.restoreFrom(r.newestID()) },
	} {
		for _, percent := range []int{0, 50, 100} {
			if percent > 0 && testing.Short() {
				break
			}
			t.Run(fmt.Sprint(name, "-", percent), func(t *testing.T) {
				writes := 0
				for ; ; writes++ {
					r, crashed := crashDuring(t, op, writes, percent, received, name == "restore")
					checkAfterCrash(t, r, crashed, name, target)
					if crashed == nil {
						break
					}
				}
				if writes < 5 {
					t.Errorf("only %d writes: the test shows nothing", writes)
				}
			})
		}
	}
}

// crashDuring runs op on a node with a snapshot of entry 12, a state at entry 14
// and perhaps a received snapshot, and returns it with the disk after a crash
// before the given write, which is nil where op has fewer.
func crashDuring(t *testing.T, op func(*rig) error, write, percent int, received []byte, receive bool) (*rig, *crashfs.FS) {
	t.Helper()
	r := newCrashingRig(t)
	r.setUp(10)
	r.persist()
	r.mustApply(newSync(Incremental, upsert("n", "a", "1"), upsert("n", "b", "1")))
	must(t, r.fsm.Flush())
	if receive {
		_, err := r.install(bytes.NewReader(received), 16)
		must(t, err)
	}
	fs := r.fsm.opts.FS.(*crashfs.FS)
	fs.Arm(write, percent, rand.New(rand.NewPCG(uint64(write), 7)), func() {})
	must(t, op(r))
	return r, fs.Disarm()
}

func checkAfterCrash(t *testing.T, r *rig, crashed *crashfs.FS, name string, target *dumped) {
	t.Helper()
	before, told := dump(t, r.fsm), crashed == nil
	if told {
		crashed = r.fsm.opts.FS.(*crashfs.FS).Crash(0, nil)
	}
	after := rigOnDisk(t, crashed)
	got := dump(t, after.fsm)
	switch {
	case name == "restore" && told || got.System.AppliedIndex == 16:
		if diff := cmp.Diff(target, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	case name != "restore":
		if diff := cmp.Diff(before, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	case got.System.AppliedIndex != 14:
		t.Errorf("%s: the state is at entry %d", name, got.System.AppliedIndex)
	}
	list, err := after.fsm.Snapshots().List()
	must(t, err)
	newest := map[string]uint64{"make": 14, "receive": 16, "restore": 16}[name]
	if len(list) == 0 || list[0].Index != newest && (told || name == "restore" || list[0].Index != 12) {
		t.Fatalf("%s, told %v: snapshots are %+v", name, told, list)
	}
	for _, s := range list {
		after.streamOf(s.ID)
		must(t, after.restoreFrom(s.ID))
		if after.fsm.Applied() != s.Index {
			t.Errorf("%s: the snapshot of entry %d restores entry %d", name, s.Index, after.fsm.Applied())
		}
	}
	names, err := onDisk(crashed).List(filepath.Join(crashHome, snapshotsName))
	if err != nil || len(names) != len(list) {
		t.Errorf("%s: left are %v, %v", name, names, err)
	}
}
