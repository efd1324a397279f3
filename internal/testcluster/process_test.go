package testcluster

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// parentEnv makes this test binary a parent that waits to be killed.
const parentEnv = "TESTCLUSTER_PARENT"

func TestMain(m *testing.M) {
	if os.Getenv(parentEnv) != "" {
		beParent()
	}
	os.Exit(m.Run())
}

func beParent() {
	p, err := StartProcess(exec.Command("sleep", "600"))
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(p.Pid())
	<-p.Exited()
	os.Exit(0)
}

func TestChildrenDieWithAKilledParent(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux can promise it")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	parent := exec.Command(self)
	parent.Env = append(os.Environ(), parentEnv+"=1")
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	child, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatalf("the parent said %q", line)
	}
	if err := syscall.Kill(child, 0); err != nil {
		t.Fatalf("the child doesn't run: %v", err)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait() // killed
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := Await(ctx, "the child's end", func(context.Context) error {
		if state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", child)); err == nil && !strings.Contains(string(state), ") Z ") {
			return fmt.Errorf("it runs: %s", state)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}

func TestStop(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	polite := start(t, `trap 'exit 0' TERM; echo ready; while :; do sleep 0.01; done`)
	if err := polite.Stop(ctx); err != nil {
		t.Errorf("a process that exits with 0: %v", err)
	}
	failing := start(t, `trap 'exit 3' TERM; echo ready; while :; do sleep 0.01; done`)
	var exit *exec.ExitError
	if err := failing.Stop(ctx); !errors.As(err, &exit) || exit.ExitCode() != 3 {
		t.Errorf("a process that exits with 3: %v", err)
	}
	deaf := start(t, `trap '' TERM; echo ready; while :; do sleep 0.01; done`)
	soon, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	if err := deaf.Stop(soon); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a process that ignores SIGTERM: %v", err)
	}
	select {
	case <-deaf.Exited():
	default:
		t.Error("it still runs")
	}
}

// start runs a shell script until it has said something.
func start(t *testing.T, script string) *Process {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-c", script)
	cmd.Stdout = write
	p, err := StartProcess(cmd, write)
	if err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(read).ReadString('\n'); err != nil {
		t.Fatalf("the script said %q: %v", line, err)
	}
	return p
}

func TestPortFree(t *testing.T) {
	addrs, err := FreePorts(3)
	if err != nil {
		t.Fatal(err)
	}
	_, text, err := net.SplitHostPort(addrs[0])
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	for network, listen := range map[string]func() (interface{ Close() error }, error){
		"tcp": func() (interface{ Close() error }, error) { return net.Listen("tcp", addrs[0]) },
		"udp": func() (interface{ Close() error }, error) { return net.ListenPacket("udp", addrs[0]) },
	} {
		l, err := listen()
		if err != nil {
			t.Fatal(err)
		}
		if PortFree(port) {
			t.Errorf("a port with a %s listener is told to be free", network)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if !PortFree(port) {
		t.Error("a port that nobody listens on is told to be busy")
	}
}

// Whoever else wants ports skips a block whose first port is taken.
func TestPortsAreKeptFromOtherProcesses(t *testing.T) {
	base, err := FreeBase(200)
	if err != nil {
		t.Fatal(err)
	}
	next, err := FreeBase(1)
	if err != nil {
		t.Fatal(err)
	}
	for _, port := range []int{base, base + 199, next} {
		block := port - (port-firstPort)%blockPorts
		if l, err := net.Listen("tcp", address(block)); err == nil {
			t.Errorf("port %d is ours, and nobody listens on %d", port, block)
			_ = l.Close()
		}
	}
	if base <= next && next < base+200 {
		t.Errorf("%d was given twice", next)
	}
	if _, err := FreeBase(blockPorts); err == nil {
		t.Error("a whole block was given away, with the port that keeps it")
	}
}
