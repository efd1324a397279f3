// Package deb runs the node of a Debian package as the package's unit does: in a
// root of its own, as its user.
package deb

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// maxWait bounds every wait; only a broken node comes near it.
const maxWait = 60 * time.Second

func TestPackage(t *testing.T) {
	file := os.Getenv("PIPESYNC_DEB")
	if file == "" {
		t.Skip("PIPESYNC_DEB names no package: make one with scripts/package")
	}
	if os.Getuid() != 0 {
		t.Skip("only root can run a program in another root and as another user")
	}
	root := unpack(t, file)
	uid := makeUser(t, root)
	unit := read(t, root, "usr/lib/systemd/system/pipesync.service")
	start := strings.Fields(setting(t, unit, "ExecStart"))
	if user := setting(t, unit, "User"); user != "pipesync" {
		t.Errorf("the unit's user is %s", user)
	}

	// What the administrator does.
	configure(t, root)
	// What systemd does.
	state := filepath.Join(root, "var/lib", setting(t, unit, "StateDirectory"))
	if err := os.MkdirAll(filepath.Dir(state), 0o755); err != nil {
		t.Fatal(err)
	}
	own(t, uid, os.Mkdir(state, 0o700), state)
	socket := filepath.Join(root, "notify")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = manager.Close() }()
	own(t, uid, nil, socket)

	node := inRoot(root, uid, start...)
	node.Env = []string{
		"NOTIFY_SOCKET=/notify", "PIPESYNC_HTTP_ADDR=127.0.0.1:0", "PIPESYNC_PEER_ADDR=127.0.0.1:0", "PIPESYNC_GOSSIP_ADDR=127.0.0.1:0",
	}
	var log bytes.Buffer
	node.Stdout, node.Stderr = &log, &log
	if err := manager.SetReadDeadline(time.Now().Add(maxWait)); err != nil {
		t.Fatal(err)
	}
	if err := node.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		ended <- node.Wait()
		_ = manager.SetReadDeadline(time.Now()) // it tells nothing any more
	}()
	told := make([]byte, 256)
	n, err := manager.Read(told)
	if err != nil || !strings.HasPrefix(string(told[:n]), "READY=1") {
		t.Errorf("the node tells %q, %v", told[:n], err)
	}
	private(t, state, uid)
	_ = node.Process.Signal(syscall.SIGTERM) // it may have ended
	if err := <-ended; err != nil || t.Failed() {
		t.Errorf("the node ended: %v\n%s", err, &log)
	}
}

// unpack returns the package's tree, which anyone may enter.
func unpack(t *testing.T, file string) string {
	t.Helper()
	root, err := os.MkdirTemp("", "deb") // the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(root) })
	command(t, "dpkg-deb", "--extract", file, root)
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	return root
}

// makeUser does what the package's script does, and returns the user's number.
func makeUser(t *testing.T, root string) int {
	t.Helper()
	command(t, "systemd-sysusers", "--root="+root)
	entry := regexp.MustCompile(`(?m)^pipesync:[^:]*:(\d+):`).FindStringSubmatch(read(t, root, "etc/passwd"))
	if entry == nil {
		t.Fatal("there is no user pipesync")
	}
	uid, err := strconv.Atoi(entry[1])
	if err != nil || uid == 0 {
		t.Fatalf("the user's number is %s", entry[1])
	}
	return uid
}

// configure makes a cluster's first node of what was installed.
func configure(t *testing.T, root string) {
	t.Helper()
	text := read(t, root, "etc/pipesync/pipesync.yaml")
	const before = "\nbootstrap: false\n"
	if !strings.Contains(text, before) {
		t.Fatalf("the configuration has no %q", before)
	}
	text = strings.Replace(text, before, "\nbootstrap: true\n", 1)
	if err := os.WriteFile(filepath.Join(root, "etc/pipesync/pipesync.yaml"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// private wants all that the node has written to be its own, and nobody else's to read.
func private(t *testing.T, dir string, uid int) {
	t.Helper()
	files := 0
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if os.IsNotExist(err) {
			return nil // it lives on meanwhile
		}
		if err != nil {
			return err
		}
		files++
		if owner := info.Sys().(*syscall.Stat_t).Uid; int(owner) != uid || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s is of user %d, mode %s", path, owner, info.Mode())
		}
		return nil
	})
	if err != nil || files < 10 {
		t.Errorf("%d files, %v", files, err)
	}
}

// inRoot is a command in another root, as another user.
func inRoot(root string, uid int, args ...string) *exec.Cmd {
	cmd := &exec.Cmd{Path: args[0], Args: args, Dir: "/"}
	id := uint32(uid)
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: id, Gid: id}}
	return cmd
}

func setting(t *testing.T, unit, name string) string {
	t.Helper()
	m := regexp.MustCompile(`(?m)^` + name + `=(.+)$`).FindStringSubmatch(unit)
	if m == nil {
		t.Fatalf("the unit has no %s", name)
	}
	return m[1]
}

func own(t *testing.T, uid int, err error, path string) {
	t.Helper()
	if err == nil {
		err = os.Chown(path, uid, uid)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, root, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func command(t *testing.T, args ...string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), args[0], args[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", args[0], err, out)
	}
}
