// Package vdso has the wall clock of a single process jump, for Linux on amd64.
//
// Programs read clocks by a function of the vDSO, code that the kernel maps into each
// process. In one process that function is made to begin with a jump to another, which
// is put into the unused end of the vDSO: it asks the kernel, and adds to the time of
// day so many minutes as a byte behind it says. All other clocks are as they were. Other
// processes have their own copy, and a program that is started anew has a right clock.
package vdso

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
)

// Clock is that of one process. Its methods must not be called concurrently.
type Clock struct {
	mem     *os.File // of the process; of no other if its id is used again
	minutes int64    // address of the byte
}

// MaxMinutes is how far a clock may jump, either way.
const MaxMinutes = 127

// Available is nil where clocks can be taken, else it says why not.
func Available() error { return available() }

var available = sync.OnceValue(func() error {
	if runtime.GOARCH != "amd64" {
		return fmt.Errorf("clocks of single processes need amd64, this is %s", runtime.GOARCH)
	}
	if err := takeAny(); err != nil {
		return fmt.Errorf("clocks of single processes: %w", err)
	}
	return nil
})

// takeAny takes the clock of a process that is there for it.
func takeAny() error {
	other := exec.Command("cat")
	in, err := other.StdinPipe()
	if err != nil {
		return err
	}
	out, err := other.StdoutPipe()
	if err != nil {
		return err
	}
	if err := other.Start(); err != nil {
		return err
	}
	defer func() { _, _ = other.Process.Kill(), other.Wait() }()
	// One that says something has all of its memory.
	if _, err := io.WriteString(in, "."); err != nil {
		return err
	}
	if _, err := io.ReadFull(out, make([]byte, 1)); err != nil {
		return err
	}
	clock, err := Take(other.Process.Pid)
	if err != nil {
		return err
	}
	return clock.Close()
}

// Take has the clock of a process be set by Shift from now on. It may be taken more than
// once. The process stands still for a moment.
func Take(pid int) (*Clock, error) {
	c, err := take(pid)
	if err != nil {
		return nil, fmt.Errorf("taking the clock of process %d: %w", pid, err)
	}
	return c, nil
}

func take(pid int) (*Clock, error) {
	mem, err := os.OpenFile(fmt.Sprintf("/proc/%d/mem", pid), os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	at, err := look(pid, mem)
	if err == nil && !at.taken {
		err = patch(pid, mem, at)
	}
	if err != nil {
		return nil, errors.Join(err, mem.Close())
	}
	return &Clock{mem: mem, minutes: at.stub + minutesAt}, nil
}

// patch writes the new function, and the jump to it.
func patch(pid int, mem *os.File, at place) error {
	if _, err := mem.WriteAt(stub(), at.stub); err != nil {
		return err
	}
	return stoppedOutside(pid, at.function, func() error {
		_, err := mem.WriteAt(jump(at.function, at.stub), at.function)
		return err
	})
}

// Shift has the clock show so many minutes more, or less, than the right time. Of a
// process that is gone it is os.ErrProcessDone.
func (c *Clock) Shift(minutes int) error {
	if minutes < -MaxMinutes || minutes > MaxMinutes {
		return fmt.Errorf("shifting a clock: by %d minutes, at most %d", minutes, MaxMinutes)
	}
	// Nobody sees half of a byte.
	n, err := c.mem.WriteAt([]byte{byte(int8(minutes))}, c.minutes)
	if n == 1 {
		return nil
	}
	if err == nil || errors.Is(err, io.ErrUnexpectedEOF) {
		return os.ErrProcessDone // nothing is written there any more
	}
	return fmt.Errorf("shifting a clock: %w", err)
}

// Close leaves the clock as it is.
func (c *Clock) Close() error { return c.mem.Close() }
