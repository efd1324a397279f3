//go:build unix

package cluster

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// pausedEnv has the test be the process that is stopped.
const pausedEnv = "PIPESYNC_TEST_PAUSED_WRITE"

// A process that was stopped in the middle of a write, far longer than a disk may take, has
// not waited for its disk all that time.
func TestAStoppedProcessHasNotWaitedForItsDisk(t *testing.T) {
	const wait = 5 * time.Second
	if os.Getenv(pausedEnv) != "" {
		told := make(chan error, 1)
		guard := diskGuard{func(err error) { told <- err }, wait}
		err := guard.write("writing", func() error {
			fmt.Println("writing")
			_, err := bufio.NewReader(os.Stdin).ReadString('\n')
			time.Sleep(wait / diskWaitSteps) // the guard has its turn
			return err
		})
		fmt.Println("written:", err, len(told))
		return
	}
	t.Parallel()
	cmd := exec.Command(os.Args[0], "-test.run", "^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), pausedEnv+"=1")
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
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	lines := bufio.NewScanner(out)
	next := func(want string) {
		t.Helper()
		if !lines.Scan() || lines.Text() != want {
			t.Fatalf("the process says %q, %v; want %q", lines.Text(), lines.Err(), want)
		}
	}
	next("writing")
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	time.Sleep(wait + time.Second) // what the test is about: time that passes while it can't run
	if _, err := fmt.Fprintln(in); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	next("written: <nil> 0")
}
