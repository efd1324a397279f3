package testcluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
)

// Process is one child of this program. Its methods may be called concurrently.
type Process struct {
	cmd    *exec.Cmd
	exited chan struct{}
	err    error // of Wait; read after exited is closed
}

// StartProcess runs a command. Unlike exec.Cmd's it is killed when this
// program ends, and a Ctrl-C at the terminal doesn't reach it. The files of
// closeAfter are closed once it has exited.
func StartProcess(cmd *exec.Cmd, closeAfter ...io.Closer) (*Process, error) {
	if err := spawn()(cmd); err != nil {
		return nil, fmt.Errorf("starting %s: %w", cmd.Path, err)
	}
	p := &Process{cmd: cmd, exited: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		for _, c := range closeAfter {
			p.err = errors.Join(p.err, c.Close())
		}
		close(p.exited)
	}()
	return p, nil
}

// Pid is the process's id. It is ours until Exited is closed.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Exited is closed when the process is gone.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Err is how the process ended: nil if it exited with 0. It is for after Exited.
func (p *Process) Err() error { return p.err }

// Signal sends sig to the process and to nothing else.
func (p *Process) Signal(sig os.Signal) error {
	if err := p.cmd.Process.Signal(sig); err != nil {
		return fmt.Errorf("sending %v to process %d: %w", sig, p.Pid(), err)
	}
	return nil
}

// Kill9 ends the process at once, paused or not, and returns when it is gone.
func (p *Process) Kill9() error {
	err := p.cmd.Process.Signal(syscall.SIGKILL)
	if err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("killing process %d: %w", p.Pid(), err)
	}
	<-p.exited
	return nil
}

// Stop sends SIGTERM and returns when the process is gone: nil if it exited
// with 0. When ctx ends first, the process is killed and that is an error.
func (p *Process) Stop(ctx context.Context) error {
	if err := p.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-p.exited:
		if p.err != nil {
			return fmt.Errorf("process %d after SIGTERM: %w", p.Pid(), p.err)
		}
		return nil
	case <-ctx.Done():
		return errors.Join(fmt.Errorf("process %d ignored SIGTERM: %w", p.Pid(), ctx.Err()), p.Kill9())
	}
}
