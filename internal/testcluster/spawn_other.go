//go:build !linux

package testcluster

import (
	"os/exec"
	"syscall"
)

// spawn starts a command in a process group of its own. Only Linux can promise
// that it doesn't outlive a killed parent.
func spawn() func(*exec.Cmd) error {
	return func(cmd *exec.Cmd) error {
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		return cmd.Start()
	}
}
