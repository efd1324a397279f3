package vdso

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"pipesync/internal/netns"
)

// tellEnv has this program tell the time for each line that it reads, with many
// goroutines that look at the clock all the time.
const tellEnv = "PIPESYNC_TEST_TELL_TIME"

func TestMain(m *testing.M) {
	if os.Getenv(tellEnv) == "" {
		os.Exit(m.Run())
	}
	for range 4 {
		go func() {
			for time.Now().Unix() != 0 {
			}
		}()
	}
	began := time.Now()
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		fmt.Println(time.Now().Unix(), int(time.Since(began).Minutes()))
	}
}

// teller is a process that tells the time.
type teller struct {
	pid int
	in  io.Writer
	out io.Reader
}

func newTeller(t *testing.T) *teller {
	t.Helper()
	if err := Available(); err != nil {
		netns.Unavailable(t, err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), tellEnv+"=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return &teller{cmd.Process.Pid, in, out}
}

// off is by how many minutes the process is off.
func (w *teller) off(t *testing.T) int {
	t.Helper()
	if _, err := fmt.Fprintln(w.in); err != nil {
		t.Fatal(err)
	}
	var unix, since int64
	if _, err := fmt.Fscanln(w.out, &unix, &since); err != nil {
		t.Fatal(err)
	}
	if since > 5 || since < 0 {
		t.Errorf("by the monotonic clock %d minutes have passed", since)
	}
	return int(time.Until(time.Unix(unix, 0)).Round(time.Minute).Minutes())
}

// The wall clock jumps to and fro, the monotonic doesn't, nor do those of others.
func TestShift(t *testing.T) {
	w := newTeller(t)
	if off := w.off(t); off != 0 {
		t.Fatalf("at first it is off by %d minutes", off)
	}
	for range 2 { // it may be taken again
		clock, err := Take(w.pid)
		if err != nil {
			t.Fatal(err)
		}
		for _, minutes := range []int{60, -60, 1, MaxMinutes, -MaxMinutes, 0} {
			if err := clock.Shift(minutes); err != nil {
				t.Fatal(err)
			}
			if off := w.off(t); off != minutes {
				t.Errorf("by %d minutes: it is off by %d", minutes, off)
			}
		}
		if err := clock.Shift(MaxMinutes + 1); err == nil {
			t.Error("there is no bound")
		}
		if err := clock.Close(); err != nil {
			t.Fatal(err)
		}
	}
	other := newTeller(t)
	if off := other.off(t); off != 0 {
		t.Errorf("another process is off by %d minutes", off)
	}
}

// Whoever looks at the clock just then goes on.
func TestTakingWhileTheClockIsRead(t *testing.T) {
	for range 5 {
		w := newTeller(t)
		clock, err := Take(w.pid)
		if err != nil {
			t.Fatal(err)
		}
		if err := clock.Shift(60); err != nil {
			t.Fatal(err)
		}
		if off := w.off(t); off != 60 {
			t.Errorf("it is off by %d minutes", off)
		}
		_ = clock.Close()
	}
}

func TestAStoppedProcessStaysStopped(t *testing.T) {
	w := newTeller(t)
	w.off(t)
	if err := syscall.Kill(w.pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if _, err := awaitStopped(w.pid); err != nil {
		t.Fatal(err)
	}
	clock, err := Take(w.pid)
	if err != nil {
		t.Fatal(err)
	}
	if tasks, err := threads(w.pid); err != nil || !allStopped(tasks) {
		t.Errorf("it goes on: %v", err)
	}
	if err := syscall.Kill(w.pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_, _ = io.ReadAll(w.out)
	for err == nil {
		err = clock.Shift(60) // its memory may be there a moment longer
	}
	if !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("the clock of a process that is gone: %v", err)
	}
}

// What can't be patched is an error, and nothing else.
func TestFind(t *testing.T) {
	image := own(t)
	at, err := find(image)
	if err != nil || at.taken || at.function <= 0 || at.stub+stubBytes > int64(len(image)) {
		t.Fatalf("%+v, %v", at, err)
	}
	patched := append([]byte(nil), image...)
	copy(patched[at.stub:], stub())
	copy(patched[at.function:], jump(at.function, at.stub))
	if again, err := find(patched); err != nil || !again.taken || again.stub != at.stub {
		t.Errorf("a patched one: %+v, %v", again, err)
	}
	full := append([]byte(nil), image...)
	full[len(full)-1] = 1
	nameless := []byte(strings.ReplaceAll(string(image), symbol, strings.ToUpper(symbol)))
	for name, image := range map[string][]byte{
		"full": full, "nameless": nameless, "no ELF": make([]byte, 4096), "empty": nil, "cut off": image[:200],
	} {
		if at, err := find(image); err == nil {
			t.Errorf("%s: %+v", name, at)
		}
	}
}

// own is this process's vDSO.
func own(t *testing.T) []byte {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	from, to, err := mapping(string(maps))
	if err != nil {
		netns.Unavailable(t, err)
	}
	mem, err := os.Open("/proc/self/mem")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = mem.Close() }()
	image := make([]byte, to-from)
	if _, err := mem.ReadAt(image, from); err != nil {
		t.Fatal(err)
	}
	return image
}

func TestMapping(t *testing.T) {
	from, to, err := mapping("7f00-8f00 r--p 00000000 00:00 0 [vvar]\n7ffd1000-7ffd3000 r-xp 00000000 00:00 0 [vdso]\n")
	if from != 0x7ffd1000 || to != 0x7ffd3000 || err != nil {
		t.Errorf("%x %x %v", from, to, err)
	}
	for _, maps := range []string{"", "x-y r-xp [vdso]\n", "2000-1000 r-xp 0 0 0 [vdso]\n", "1000-7ffffffff000 r-xp 0 0 0 [vdso]\n"} {
		if _, _, err := mapping(maps); err == nil {
			t.Errorf("%q is taken", maps)
		}
	}
}

func TestCounter(t *testing.T) {
	for text, want := range map[string]int64{
		"202 0x1 0x80 0x0 0x0 0x0 0x0 0x7ffc10 0x48c3a3\n": 0x48c3a3,
		"-1 0x7ffc10 0x7fff1234\n":                         0x7fff1234,
		"running\n":                                        0,
		"":                                                 0,
		"0 0 x":                                            0,
	} {
		if at, err := counter(text); at != want || (err == nil) != (want != 0) {
			t.Errorf("%q: %x, %v", text, at, err)
		}
	}
}

func TestCode(t *testing.T) {
	if got, want := fmt.Sprintf("% x", jump(0x1000, 0x0f00)), "e9 fb fe ff ff"; got != want {
		t.Errorf("a jump is %s, want %s", got, want)
	}
	if code := stub(); len(code) != stubBytes || code[minutesAt-1] != 0 || code[minutesAt] != 0 {
		t.Errorf("the stub is % x", code)
	}
}
