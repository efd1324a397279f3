package fsm

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"pipesync/storage"
)

// rotEnv names the directory of a state with a rotted table, to the process that
// meets it: it doesn't outlive that.
const rotEnv = "PIPESYNC_TEST_ROTTED"

func TestARottedTableQuarantinesTheState(t *testing.T) {
	if dir := os.Getenv(rotEnv); dir != "" {
		meetRot(t, dir)
		return
	}
	r := newRig(t)
	r.setUp(1000)
	for i := range 50 {
		r.mustApply(newSync(Incremental, upsert("n", idOf(i), strings.Repeat(fmt.Sprint(i), 500))))
	}
	must(t, r.fsm.Close())
	tables, err := filepath.Glob(filepath.Join(r.dir, "db-*", "*.sst"))
	must(t, err)
	for _, path := range tables {
		b, err := os.ReadFile(path)
		must(t, err)
		b[len(b)/3] ^= 1
		must(t, os.WriteFile(path, b, 0o600))
	}
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestARottedTableQuarantinesTheState$")
	child.Env = append(os.Environ(), rotEnv+"="+r.dir)
	out, err := child.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 7 {
		t.Fatalf("%v: %s", err, out)
	}
	if !strings.Contains(string(out), ".sst") || !strings.Contains(string(out), "pipesync reseed") {
		t.Errorf("the process ended with %s", out)
	}
	wantQuarantine(t, r.dir, ".sst")
}

// meetRot reads every record, and ends as a node does.
func meetRot(t *testing.T, dir string) {
	f, err := Open(Options{Dir: dir, Fatal: func(err error) {
		fmt.Println(err)
		os.Exit(7)
	}})
	must(t, err)
	v, err := f.View()
	must(t, err)
	readAll(t, v, "n")
}

func wantQuarantine(t *testing.T, dir, file string) {
	t.Helper()
	_, err := Open(Options{Dir: dir, Fatal: func(error) {}})
	for _, want := range []string{filepath.Join(dir, quarantineName), file, "rotted", "pipesync reseed"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("opening it again: %v, want %q", err, want)
		}
	}
}

// Rot of a snapshot's file is met when the snapshot is sent: the other node never
// gets all of it, and this one ends.
func TestARottedSnapshotQuarantinesTheState(t *testing.T) {
	r := newRig(t)
	r.setUp(10)
	id := r.persist()
	for i, f := range r.fsm.snapshots.newest().meta.Header.Files {
		path := filepath.Join(r.snapshotsDir(), id, filesName, f.Name)
		whole, err := os.ReadFile(path)
		must(t, err)
		rotted := [][]byte{whole[:max(len(whole)-1, 0)], append(whole[:len(whole):len(whole)], 0)}[i%2]
		must(t, os.Remove(path)) // the database may have the same file
		must(t, os.WriteFile(path, rotted, 0o600))
		if len(rotted) == len(whole) {
			continue
		}
		_, stream, err := r.fsm.Snapshots().Open(id)
		must(t, err)
		told := dies(t, r, func() {
			_, _ = io.Copy(io.Discard, stream)
		})
		if !errors.Is(told, storage.ErrRot) || !strings.Contains(told.Error(), f.Name) || !strings.Contains(told.Error(), rotCure) {
			t.Errorf("%s: Fatal was told: %v", f.Name, told)
		}
		must(t, stream.Close())
		wantQuarantine(t, r.dir, f.Name)
		must(t, os.Remove(filepath.Join(r.dir, quarantineName)))
		must(t, os.WriteFile(path, whole, 0o600))
	}
}

// Whatever bit of these files flips, the state isn't opened, the cure is named, and nothing is
// removed: they say which other files count.
func TestRotThatShowsAtTheStartNamesTheCure(t *testing.T) {
	r := newRig(t)
	r.setUp(10)
	id := r.persist()
	must(t, r.fsm.Close())
	databases, err := filepath.Glob(filepath.Join(r.dir, "db-*", "MANIFEST-*"))
	must(t, err)
	for _, path := range append(databases, filepath.Join(r.dir, currentName), filepath.Join(r.snapshotsDir(), id, metaName)) {
		whole, err := os.ReadFile(path)
		must(t, err)
		// The last record of the manifest may have been cut off by a crash.
		end := len(whole)
		if strings.Contains(path, "MANIFEST") {
			end /= 3
		}
		for bit := range end * 8 {
			rotted := append([]byte{}, whole...)
			rotted[bit/8] ^= 1 << (bit % 8)
			must(t, os.WriteFile(path, rotted, 0o600))
			_, err := Open(Options{Dir: r.dir, Fatal: func(error) {}})
			if err == nil || !strings.Contains(err.Error(), filepath.Base(path)) || !strings.Contains(err.Error(), rotCure) {
				t.Fatalf("%s, bit %d: %v", path, bit, err)
			}
		}
		must(t, os.WriteFile(path, whole, 0o600))
	}
	f, err := Open(Options{Dir: r.dir, Fatal: func(error) {}})
	must(t, err)
	must(t, f.Close())
}
