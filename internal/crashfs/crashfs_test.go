package crashfs

import (
	"io"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func content(fs *FS, name string) string {
	f, err := fs.Open(name)
	if err != nil {
		return "absent"
	}
	b, err := io.ReadAll(f)
	if err != nil || f.Close() != nil {
		return "unreadable"
	}
	return string(b)
}

// writeFile is six writes: create, write, sync of the file, sync of the
// directory, then a write that isn't synced, and a removal that isn't.
func writeFile(t *testing.T, fs *FS) {
	t.Helper()
	f, err := fs.Create("f", vfs.WriteCategoryUnspecified)
	check(t, err)
	_, err = f.Write([]byte("one"))
	check(t, err)
	check(t, f.Sync())
	d, err := fs.OpenDir("/")
	check(t, err)
	check(t, d.Sync())
	check(t, d.Close())
	_, err = f.Write([]byte("two"))
	check(t, err)
	check(t, f.Close())
	check(t, fs.Remove("f"))
}

// TestCrashAtEachWrite: before the directory is synced there is nothing; from
// then on what was synced is there, and the rest only where it is asked for.
func TestCrashAtEachWrite(t *testing.T) {
	for percent, want := range map[int][]string{
		0:   {"absent", "absent", "absent", "absent", "one", "one"},
		100: {"absent", "", "one", "one", "one", "onetwo"},
	} {
		for after := range want {
			fs, observed := New(), 0
			fs.Arm(after, percent, rand.New(rand.NewPCG(1, 2)), func() { observed++ })
			writeFile(t, fs)
			crashed := fs.Disarm()
			if crashed == nil || observed != 1 {
				t.Fatalf("crash before write %d: %v, observed %d times", after, crashed, observed)
			}
			if got := content(crashed, "f"); got != want[after] {
				t.Errorf("%d %% kept, crash before write %d: %q, want %q", percent, after, got, want[after])
			}
			if fs.Disarm() != nil {
				t.Error("disarmed twice")
			}
		}
	}
}

func TestCrashThatDidNotCome(t *testing.T) {
	fs := New()
	fs.Arm(6, 0, nil, func() { t.Error("crashed") })
	writeFile(t, fs)
	if fs.Disarm() != nil {
		t.Error("crashed")
	}
	writeFile(t, fs)
	if got := content(fs.Crash(0, nil), "f"); got != "one" {
		t.Errorf("%q", got)
	}
}
