package faultfs

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"pipesync/internal/netns"
)

const (
	// serveEnv has this program serve the directory of that name and do nothing else.
	serveEnv = "PIPESYNC_TEST_FAULTFS"
	// mountsEnv says that nobody else sees what is mounted.
	mountsEnv = "PIPESYNC_TEST_MOUNTS"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(serveEnv); dir != "" {
		if err := Serve(dir, 1, os.Stdin, os.Stdout); err != nil {
			panic(err)
		}
		return
	}
	os.Exit(m.Run())
}

// served is a directory that another process serves.
type served struct {
	*testing.T
	dir      string
	commands *json.Encoder
	answers  *json.Decoder
}

// serve runs body where the mount is gone with the last process that sees it.
func serve(t *testing.T, body func(*served)) {
	t.Helper()
	if err := Available(); err != nil {
		netns.Unavailable(t, err)
	}
	if os.Getenv(mountsEnv) == "" {
		netns.Elsewhere(t, []string{"unshare", "--mount"}, mountsEnv+"=1")
		return
	}
	s := &served{T: t, dir: t.TempDir()}
	s.must(os.WriteFile(s.path("file"), []byte("below"), 0o600))
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), serveEnv+"="+s.dir)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	s.must(err)
	out, err := cmd.StdoutPipe()
	s.must(err)
	s.must(cmd.Start())
	s.commands, s.answers = json.NewEncoder(in), json.NewDecoder(out)
	t.Cleanup(func() {
		s.must(syscall.Unmount(s.dir, 0))
		s.must(cmd.Wait()) // it has noticed
	})
	s.answer()
	body(s)
}

func (s *served) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *served) path(name string) string { return filepath.Join(s.dir, name) }

func (s *served) answer() (c Counts) {
	s.Helper()
	s.must(s.answers.Decode(&c))
	return c
}

func (s *served) tell(r Rules) Counts {
	s.Helper()
	s.must(s.commands.Encode(r))
	return s.answer()
}

func (s *served) open(name string) *os.File {
	s.Helper()
	f, err := os.OpenFile(s.path(name), os.O_RDWR, 0)
	s.must(err)
	s.Cleanup(func() { _ = f.Close() })
	return f
}

func (s *served) fails(what string, err error) {
	s.Helper()
	if !errors.Is(err, syscall.EIO) {
		s.Errorf("%s gave %v, not EIO", what, err)
	}
}

func TestPassesOn(t *testing.T) {
	serve(t, func(s *served) {
		s.must(os.Mkdir(s.path("d"), 0o700))
		s.must(os.WriteFile(s.path("d/a"), []byte("one"), 0o600))
		s.must(os.Link(s.path("d/a"), s.path("d/b")))
		s.must(os.Remove(s.path("d/a")))
		s.must(os.Rename(s.path("d/b"), s.path("c")))
		s.must(os.Truncate(s.path("c"), 2))
		f := s.open("c")
		s.must(f.Sync())
		s.must(syscall.Fallocate(int(f.Fd()), 0, 0, 1<<16))
		s.must(syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB))
		d, err := os.Open(s.path("d"))
		s.must(err)
		s.must(errors.Join(d.Sync(), d.Close()))
		got, err := os.ReadFile(s.path("c"))
		s.must(err)
		if len(got) != 1<<16 || !bytes.HasPrefix(got, []byte("on\x00")) {
			s.Errorf("%d bytes: %.8q", len(got), got)
		}
		if c := s.tell(Rules{}); c != (Counts{}) {
			s.Errorf("without rules %+v were changed", c)
		}
	})
}

func TestFails(t *testing.T) {
	serve(t, func(s *served) {
		f := s.open("file")
		s.tell(Rules{Writes: Rule{Fails: true}, Syncs: Rule{Fails: true}})
		_, err := f.WriteAt([]byte("BELOW!"), 0)
		s.fails("a write", err)
		s.fails("a sync", f.Sync())
		s.fails("a new file", os.WriteFile(s.path("new"), nil, 0o600))
		s.fails("a new directory", os.Mkdir(s.path("new"), 0o700))
		s.fails("a link", os.Link(s.path("file"), s.path("new")))
		s.fails("a new name", os.Rename(s.path("file"), s.path("new")))
		s.fails("a removal", syscall.Unlink(s.path("file")))
		s.fails("a truncation", os.Truncate(s.path("file"), 1))
		_, err = os.OpenFile(s.path("file"), os.O_RDWR|os.O_TRUNC, 0)
		s.fails("a truncation at open", err)
		s.fails("an allocation", syscall.Fallocate(int(f.Fd()), 0, 0, 1<<16))
		d, err := os.Open(s.dir)
		s.must(err)
		s.fails("a sync of the directory", d.Sync())
		s.must(d.Close())
		if c := s.tell(Rules{}); c.Writes < 9 || c.Syncs != 2 || c.Reads != 0 {
			s.Errorf("%+v", c)
		}
		got, err := os.ReadFile(s.path("file"))
		s.must(err)
		if string(got) != "BELow" {
			s.Errorf("the file is %q, where half of the write is done", got)
		}
		s.must(f.Sync())
	})
}

func TestSpares(t *testing.T) {
	serve(t, func(s *served) {
		s.must(os.WriteFile(s.path("other"), nil, 0o600))
		s.tell(Rules{Writes: Rule{Fails: true}, Syncs: Rule{Fails: true}, Spare: "file"})
		s.must(writeAndSync(s.open("file")))
		s.must(os.Truncate(s.path("file"), 1))
		s.fails("a write of another", writeAndSync(s.open("other")))
	})
}

func writeAndSync(f *os.File) error {
	_, err := f.WriteAt([]byte("x"), 0)
	return errors.Join(err, f.Sync())
}

// What is mapped is read anew, as bbolt reads its file.
func TestReadsFail(t *testing.T) {
	serve(t, func(s *served) {
		f := s.open("file")
		mapped, err := syscall.Mmap(int(f.Fd()), 0, 5, syscall.PROT_READ, syscall.MAP_SHARED)
		s.must(err)
		defer func() { s.must(syscall.Munmap(mapped)) }()
		if string(mapped) != "below" {
			s.Fatalf("%q", mapped)
		}
		_, err = f.WriteAt([]byte("b"), 0) // of which the kernel knows whatever is mapped
		s.must(err)
		s.tell(Rules{Reads: Rule{Fails: true}})
		_, err = f.ReadAt(make([]byte, 5), 0)
		s.fails("a read", err)
		if c := s.tell(Rules{FlipEvery: 1}); c.Reads == 0 || c.Writes+c.Syncs != 0 {
			s.Errorf("%+v", c)
		}
		if string(mapped) == "below" {
			s.Error("no bit of what is mapped is flipped")
		}
		if c := s.tell(Rules{}); c.Flipped != 1 {
			s.Errorf("%+v", c)
		}
		if string(mapped) != "below" {
			s.Errorf("%q", mapped)
		}
	})
}

func TestHangs(t *testing.T) {
	serve(t, func(s *served) {
		f := s.open("file")
		s.tell(Rules{Syncs: Rule{Hangs: true}})
		_, err := f.WriteAt([]byte("B"), 0)
		s.must(err)
		done := make(chan error, 1)
		go func() { done <- f.Sync() }()
		for s.tell(Rules{Syncs: Rule{Hangs: true}}).Syncs == 0 {
			time.Sleep(time.Millisecond)
		}
		select {
		case <-done:
			s.Error("a sync returned")
		default:
		}
		s.tell(Rules{})
		s.must(<-done)
	})
}

func TestSlow(t *testing.T) {
	serve(t, func(s *served) {
		f := s.open("file")
		const least = 20 * time.Millisecond
		s.tell(Rules{Syncs: Rule{Min: least, Max: 2 * least}})
		began := time.Now()
		s.must(f.Sync())
		if took := time.Since(began); took < least {
			s.Errorf("a sync took %v", took)
		}
	})
}

func TestOneIn(t *testing.T) {
	d := newDisk(1)
	d.set(Rules{Syncs: Rule{Fails: true, OneIn: 4}})
	failed := 0
	for range 1000 {
		if d.sync("file") != 0 {
			failed++
		}
	}
	if failed < 150 || failed > 350 || d.counted().Syncs != failed {
		t.Errorf("%d of 1000 failed, %d were counted", failed, d.counted().Syncs)
	}
}

func TestAim(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	page := bytes.Repeat([]byte{sealKind, 1, 2, 3}, 16)
	if _, ok := aim(LogName, page, rng); ok {
		t.Error("there is no seal to aim at")
	}
	entry := append(append(bytes.Clone(page), "\xaaExtensions\xc4\x08"...), sealKind, 1, 2, 3, 4, 5)
	if _, ok := aim(LogName, entry[:len(entry)-1], rng); ok {
		t.Error("a seal of which a part is missing was aimed at")
	}
	for range 100 {
		if bit, ok := aim(LogName, entry, rng); !ok || bit/8 < len(entry)-sealBytes {
			t.Fatalf("bit %d of the %d bytes", bit, len(entry))
		}
	}
	if bit, ok := aim("000004.sst", page, rng); !ok || bit/8 >= len(page) {
		t.Errorf("bit %d, %v", bit, ok)
	}
	if _, ok := aim("000004.sst", nil, rng); ok {
		t.Error("there is nothing to aim at")
	}
}
