package testcluster

import (
	"os/exec"
	"runtime"
	"sync"
	"syscall"
)

// spawn starts a command whose process the kernel kills as soon as this one is
// gone, however it ends. The kernel ties that to the thread that forked, so
// one thread is kept for all forks until the end of the program.
var spawn = sync.OnceValue(func() func(*exec.Cmd) error {
	type fork struct {
		cmd  *exec.Cmd
		done chan error
	}
	forks := make(chan fork)
	go func() {
		runtime.LockOSThread()
		for f := range forks {
			f.done <- f.cmd.Start()
		}
	}()
	return func(cmd *exec.Cmd) error {
		// a group of its own: a terminal's Ctrl-C reaches only the parent
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
		f := fork{cmd, make(chan error, 1)}
		forks <- f
		return <-f.done
	}
})
