package operations

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"pipesync/internal/testcluster"
)

const (
	unitFile = "/usr/lib/systemd/system/pipesync.service"
	logFile  = "/var/log/pipesync.log"
)

// unit is the package's service on one machine, and what runs of it. It does what
// systemd would do, as far as the unit's settings say that the tests can see.
type unit struct {
	machine *machine

	mu      sync.Mutex
	enabled bool
	process *testcluster.Process // nil: never started
	stopped bool                 // it was told to
}

// serve carries out the orders that are given on the machine, until the listener is
// closed.
func (u *unit) serve(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		var o order
		var a answer
		err = json.NewDecoder(conn).Decode(&o)
		if err == nil && o.Command == "scp" {
			err = u.machine.scp(o.Args)
		} else if err == nil {
			err = u.systemctl(o.Args)
		}
		if err != nil {
			a.Error = err.Error()
		}
		_ = json.NewEncoder(conn).Encode(a) // its asker may be gone
		_ = conn.Close()
	}
}

func (u *unit) systemctl(args []string) error {
	now := slices.Contains(args, "--now")
	args = slices.DeleteFunc(slices.Clone(args), func(arg string) bool { return arg == "--now" })
	if slices.Equal(args, []string{"daemon-reload"}) {
		return nil // the unit is read at each start
	}
	if len(args) != 2 || args[1] != "pipesync" && args[1] != "pipesync.service" {
		return fmt.Errorf("this systemctl knows the unit pipesync alone, not %q", args)
	}
	switch args[0] {
	case "enable":
		u.enable(true)
		if now {
			return u.start()
		}
		return nil
	case "disable":
		u.enable(false)
		if now {
			return u.stop()
		}
		return nil
	case "start":
		return u.start()
	case "stop":
		return u.stop()
	case "reload":
		return u.reload()
	case "restart":
		return errors.Join(u.stop(), u.start())
	}
	return fmt.Errorf("this systemctl can't %s", args[0])
}

func (u *unit) enable(enabled bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.enabled = enabled
}

// isEnabled says whether clients may expect a node there.
func (u *unit) isEnabled() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.enabled
}

// running is the unit's process; nil where it isn't active.
func (u *unit) running() *testcluster.Process {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.process == nil {
		return nil
	}
	select {
	case <-u.process.Exited():
		return nil
	default:
		return u.process
	}
}

// start returns once the unit tells that it is ready.
func (u *unit) start() error {
	if u.running() != nil {
		return nil
	}
	settings, err := u.settings()
	if err != nil {
		return err
	}
	if err := u.makeStateDirectory(settings); err != nil {
		return fmt.Errorf("making the state's directory: %w", err)
	}
	notifications, err := u.listen()
	if err != nil {
		return err
	}
	log, err := os.OpenFile(u.machine.path(logFile), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return errors.Join(err, notifications.Close())
	}
	as := []string{"setpriv", "--reuid", settings["User"], "--regid", settings["Group"], "--clear-groups", "--pdeathsig", "KILL"}
	env, err := u.environment(settings)
	if err != nil {
		return errors.Join(err, log.Close(), notifications.Close())
	}
	cmd := u.machine.command(append(env, "NOTIFY_SOCKET=/run/notify"), append(as, strings.Fields(settings["ExecStart"])...)...)
	cmd.Stdout, cmd.Stderr = log, log
	process, err := testcluster.StartProcess(cmd, log, notifications)
	if err != nil {
		return errors.Join(err, log.Close(), notifications.Close())
	}
	u.mu.Lock()
	u.process, u.stopped = process, false
	u.mu.Unlock()
	return awaitReady(process, notifications)
}

// makeStateDirectory makes it if it is missing, for the unit's user.
func (u *unit) makeStateDirectory(settings map[string]string) error {
	dir := "/var/lib/" + settings["StateDirectory"]
	err := os.Mkdir(u.machine.path(dir), 0o700)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return u.machine.command(nil, "chown", settings["User"]+":", dir).Run()
}

// settings are those of the unit that say one thing.
func (u *unit) settings() (map[string]string, error) {
	text, err := os.ReadFile(u.machine.path(unitFile))
	if err != nil {
		return nil, err
	}
	settings := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^(\w+)=(.+)$`).FindAllStringSubmatch(string(text), -1) {
		settings[m[1]] = m[2]
	}
	for _, name := range []string{"ExecStart", "User", "Group", "StateDirectory", "EnvironmentFile", "TimeoutStopSec"} {
		if settings[name] == "" {
			return nil, fmt.Errorf("the unit has no %s", name)
		}
	}
	return settings, nil
}

// environment is what the unit's file of variables has, which may be missing.
func (u *unit) environment(settings map[string]string) ([]string, error) {
	text, err := os.ReadFile(u.machine.path(strings.TrimPrefix(settings["EnvironmentFile"], "-")))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	return strings.Fields(string(text)), err
}

// listen takes what the unit's process will tell.
func (u *unit) listen() (*net.UnixConn, error) {
	socket := u.machine.path("/run/notify")
	if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		return nil, err
	}
	return conn, os.Chmod(socket, 0o666)
}

// awaitReady takes what the process tells until it ends, and returns once it is ready.
func awaitReady(process *testcluster.Process, notifications *net.UnixConn) error {
	ready := make(chan struct{})
	go func() {
		buffer := make([]byte, 4096)
		for told := false; ; {
			n, err := notifications.Read(buffer)
			if err != nil {
				return
			}
			if !told && slices.Contains(strings.Split(string(buffer[:n]), "\n"), "READY=1") {
				told = true
				close(ready)
			}
		}
	}()
	select {
	case <-ready:
		return nil
	case <-process.Exited():
		return fmt.Errorf("pipesync has ended before it was ready, see its log: %w", process.Err())
	}
}

// stop asks the process to end, and wants it to end well.
func (u *unit) stop() error {
	process := u.running()
	if process == nil {
		return nil
	}
	settings, err := u.settings()
	if err != nil {
		return err
	}
	patience, err := time.ParseDuration(settings["TimeoutStopSec"] + "s")
	if err != nil {
		return err
	}
	u.mu.Lock()
	u.stopped = true
	u.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return process.Stop(ctx)
}

// reload does what the unit says: a signal to its process.
func (u *unit) reload() error {
	process := u.running()
	settings, err := u.settings()
	if err != nil {
		return err
	}
	if process == nil || settings["ExecReload"] != "/bin/kill -HUP $MAINPID" {
		return fmt.Errorf("reloading by %q: it doesn't run, or that isn't known here", settings["ExecReload"])
	}
	return process.Signal(syscall.SIGHUP)
}

// kill ends the process as a crash of its machine would.
func (u *unit) kill() error {
	process := u.running()
	if process == nil {
		return nil
	}
	u.mu.Lock()
	u.stopped = true
	u.mu.Unlock()
	return process.Kill9()
}

// fault is how the process has ended that nobody told to, if it didn't end well.
func (u *unit) fault() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.process == nil || u.stopped {
		return nil
	}
	select {
	case <-u.process.Exited():
		return u.process.Err()
	default:
		return nil
	}
}

// startAndWait runs a command to its end, and kills it where ctx ends first.
func startAndWait(ctx context.Context, cmd *exec.Cmd) error {
	p, err := testcluster.StartProcess(cmd)
	if err != nil {
		return err
	}
	select {
	case <-p.Exited():
		return p.Err()
	case <-ctx.Done():
		// With its group: a shell waits for what it has started.
		_ = syscall.Kill(-p.Pid(), syscall.SIGKILL)
		<-p.Exited()
		return ctx.Err()
	}
}

// listenForOrders is where the machine's commands find its manager.
func (u *unit) listenForOrders() (net.Listener, error) {
	return net.Listen("unix", filepath.Join(u.machine.root, managerSocket))
}
