package vdso

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	// stopTries bounds how often a process is stopped until none of its threads is where
	// it must not be, and stopMillis how long that may take each time.
	stopTries, stopMillis = 100, 2000
)

var errInside = errors.New("a thread is just there")

// stoppedOutside does something while a process is stopped, with no thread in the middle
// of the first instructions of a function, that a jump will take the place of. What is
// further inside goes on in what is left of it. One that is stopped already stays so.
func stoppedOutside(pid int, function int64, do func() error) error {
	err := errInside
	for range stopTries {
		if err = stopOnce(pid, function, do); !errors.Is(err, errInside) {
			return err
		}
	}
	return err
}

func stopOnce(pid int, function int64, do func() error) (err error) {
	tasks, err := threads(pid)
	if err != nil {
		return err
	}
	if !allStopped(tasks) {
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, syscall.Kill(pid, syscall.SIGCONT)) }()
	}
	if tasks, err = awaitStopped(pid); err != nil {
		return err
	}
	for _, task := range tasks {
		text, err := os.ReadFile(filepath.Join(task, "syscall"))
		if err != nil {
			return err
		}
		at, err := counter(string(text))
		if err != nil {
			return err
		}
		if at > function && at < function+jumpBytes {
			return errInside
		}
	}
	return do()
}

// counter is the address at which a thread goes on, the last field of /proc/PID/syscall.
func counter(text string) (at int64, err error) {
	fields := strings.Fields(text)
	if len(fields) < 3 {
		return 0, fmt.Errorf("no program counter: %q", text)
	}
	if _, err := fmt.Sscanf(fields[len(fields)-1], "0x%x", &at); err != nil {
		return 0, fmt.Errorf("no program counter: %q", text)
	}
	return at, nil
}

func threads(pid int) ([]string, error) {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	if err == nil && len(tasks) == 0 {
		err = os.ErrProcessDone
	}
	return tasks, err
}

// awaitStopped waits until all threads are stopped, and returns them.
func awaitStopped(pid int) ([]string, error) {
	for range stopMillis {
		tasks, err := threads(pid)
		if err != nil || allStopped(tasks) {
			return tasks, err
		}
		time.Sleep(time.Millisecond)
	}
	return nil, fmt.Errorf("it isn't stopped after %d ms", stopMillis)
}

func allStopped(tasks []string) bool {
	for _, task := range tasks {
		text, err := os.ReadFile(filepath.Join(task, "stat"))
		if err != nil {
			continue // it has ended
		}
		_, after, _ := strings.Cut(string(text), ") ")
		if !strings.HasPrefix(after, "T") {
			return false
		}
	}
	return true
}
