package fsm

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// nextVersion is one that this program doesn't know.
const nextVersion = MaxClusterVersion + 1

// newVersion makes this program one that knows nextVersion, and returns a command
// of a kind that is there since then. What it does is a store's creation.
func newVersion(t *testing.T) Command {
	t.Helper()
	const kind = maxKinds - 1
	decoders[kind] = kindFormat{since: nextVersion, decode: func(d *decoder, h Header) (deciding, error) {
		return &newKind{StoreCreate{Org: d.name("org"), Store: d.name("store")}}, d.done()
	}}
	maxVersion = nextVersion
	t.Cleanup(func() { oldVersion(); decoders[kind] = kindFormat{} })
	return &newKind{StoreCreate{Org: testOrg, Store: "vs_new"}}
}

// oldVersion makes it the program that it is again.
func oldVersion() { maxVersion = MaxClusterVersion }

type newKind struct{ StoreCreate }

func (c *newKind) encode() ([]byte, error) {
	e := beginEntry(maxKinds-1, c.RequestID, adminFieldBytes)
	e.text(c.Org)
	e.text(c.Store)
	return sealEntry(e.b), nil
}

// check is what the leader would say of cmd.
func (r *rig) checkKind(cmd Command) (*Result, error) {
	r.t.Helper()
	body, err := Encode(cmd)
	must(r.t, err)
	h, err := DecodeHeader(body)
	must(r.t, err)
	v := r.view()
	defer v.Close()
	return v.CheckKind(h, cmd)
}

func TestKindsWaitForTheirVersion(t *testing.T) {
	cmd := newVersion(t)
	r := newRig(t)
	r.setUp(10)
	before := dump(t, r.fsm)
	if early, err := r.checkKind(cmd); err != nil || early == nil || early.Outcome != VersionTooLow {
		t.Errorf("before the log: %+v, %v", early, err)
	}
	if got := r.apply(cmd); got.Outcome != VersionTooLow {
		t.Errorf("applied: %+v", got)
	}
	after := dump(t, r.fsm)
	after.seemsAt(before)
	if len(after.Stores) != len(before.Stores) || after.System != before.System {
		t.Errorf("it wrote %+v", after.System)
	}
	for _, step := range []struct {
		to      uint32
		created bool
		version uint32
	}{{1, false, 1}, {nextVersion, true, nextVersion}, {nextVersion, false, nextVersion}, {1, false, nextVersion}} {
		if early, err := r.checkKind(&VersionRaise{Version: step.to}); early != nil || err != nil {
			t.Errorf("to %d, before the log: %+v, %v", step.to, early, err)
		}
		if got := r.mustApply(&VersionRaise{Version: step.to}); got.Created != step.created || r.fsm.system.ClusterVersion != step.version {
			t.Errorf("to %d: %+v, version %d", step.to, got, r.fsm.system.ClusterVersion)
		}
	}
	if early, err := r.checkKind(cmd); early != nil || err != nil {
		t.Errorf("before the log: %+v, %v", early, err)
	}
	if got := r.mustApply(cmd); !got.Created {
		t.Errorf("applied: %+v", got)
	}
}

// An older program stops at the entry that leaves it behind, before it writes
// anything, and says why.
func TestAnOlderProgramStopsAtTheRaise(t *testing.T) {
	r := newRig(t)
	r.setUp(10)
	if early, err := r.checkKind(&VersionRaise{Version: nextVersion}); early != nil || !errors.Is(err, ErrUnknownFormat) {
		t.Errorf("before the log: %+v, %v", early, err)
	}
	defer func() {
		call, ok := recover().(fatalCall)
		if !ok || !strings.Contains(call.err.Error(), "older than the cluster") || !errors.Is(call.err, ErrUnknownFormat) {
			t.Errorf("fatal: %v", call.err)
		}
		if _, err := os.Stat(filepath.Join(r.dir, versionName)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: %v", versionName, err)
		}
	}()
	r.apply(&VersionRaise{Version: nextVersion})
}

// openOld is what an older program makes of a directory.
func (r *rig) openOld() error {
	r.t.Helper()
	r.close()
	oldVersion()
	o := Options{Dir: r.dir, CacheBytes: 8 << 20, Fatal: func(err error) { panic(fatalCall{err}) }}
	if r.opts != nil {
		r.opts(&o)
	}
	f, err := Open(o)
	if err == nil {
		must(r.t, f.Close())
	}
	maxVersion = nextVersion
	r.open()
	return err
}

// An older program opens neither the directory of a newer one, even if nothing of
// the raise is on disk yet but in the log, nor its snapshots.
func TestAnOlderProgramOpensNothingNewer(t *testing.T) {
	newVersion(t)
	r := newCrashingRig(t)
	r.setUp(10)
	must(t, r.fsm.Flush())
	if err := r.openOld(); err != nil {
		t.Errorf("before the raise: %v", err)
	}
	r.mustApply(&VersionRaise{Version: nextVersion})
	crashed := r.crash()
	if v := crashed.fsm.system.ClusterVersion; v != 1 {
		t.Fatalf("version %d after the crash: the test shows nothing", v)
	}
	if err := crashed.openOld(); !errors.Is(err, ErrUnknownFormat) || !strings.Contains(err.Error(), fmt.Sprint("cluster version ", nextVersion)) {
		t.Errorf("after the crash: %v", err)
	}
	stream := r.snapshot()

	joiner := newRig(t)
	must(t, joiner.restore(stream))
	if v := joiner.fsm.system.ClusterVersion; v != nextVersion {
		t.Fatalf("restored version %d", v)
	}
	must(t, os.RemoveAll(filepath.Join(joiner.dir, "snapshots"))) // a later one may take its place
	if err := joiner.openOld(); !errors.Is(err, ErrUnknownFormat) {
		t.Errorf("after the restore: %v", err)
	}

	oldVersion()
	if err := newRig(t).restore(stream); !errors.Is(err, ErrUnknownFormat) {
		t.Errorf("restored: %v", err)
	}
	maxVersion = nextVersion
}

func TestVersionFile(t *testing.T) {
	r := newRig(t)
	d, dir := r.fsm.disk, r.dir
	for _, step := range []struct{ write, want uint32 }{{1, 1}, {3, 3}, {2, 3}, {4, 4}} {
		must(t, writeVersion(d, dir, step.write))
		if got, err := readVersion(d, dir); got != step.want || err != nil {
			t.Errorf("after %d: %d, %v", step.write, got, err)
		}
	}
	for _, content := range []string{"", "2", "x\n", "-1\n", "4294967296\n"} {
		must(t, os.WriteFile(filepath.Join(dir, versionName), []byte(content), 0o600))
		if got, err := readVersion(d, dir); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%q is %d, %v", content, got, err)
		}
	}
	must(t, os.Remove(filepath.Join(dir, versionName)))
}
