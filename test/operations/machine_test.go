package operations

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"pipesync/internal/netns"
)

// maxLastWords are the lines of a log that a failure shows.
const maxLastWords = 80

// maxBlock bounds the commands of one box; only a broken cluster comes near it.
const maxBlock = 3 * time.Minute

// home is root's, where its shells begin, and what scp takes a path from that says no
// more.
const home = "/root"

// machine is a host of the lab with a root directory of its own.
type machine struct {
	name string
	host netns.Host // but for its address, which changes
	root string
	unit *unit
	// others are all machines by name, this one too: scp copies to them.
	others map[string]*machine

	mu sync.Mutex
	ip string
}

// makeMachines makes a machine for each host of the lab, n1 and on, with the package in
// root's home. dir is for their roots.
func makeMachines(dir string, lab *netns.Lab, packageFile string) (map[string]*machine, error) {
	machines := map[string]*machine{}
	for i, host := range lab.Hosts {
		m := &machine{name: fmt.Sprintf("n%d", i+1), host: host, ip: host.IP, others: machines}
		m.root = filepath.Join(dir, m.name)
		m.unit = &unit{machine: m}
		machines[m.name] = m
		if err := makeRoot(m.root, shims...); err != nil {
			return nil, fmt.Errorf("making the root of %s: %w", m.name, err)
		}
		if err := copyFile(packageFile, m.path(home+"/pipesync.deb"), false); err != nil {
			return nil, err
		}
	}
	return machines, nil
}

// path is a file of the machine, as others see it.
func (m *machine) path(name string) string { return filepath.Join(m.root, name) }

// address is where others reach it.
func (m *machine) address() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ip
}

func (m *machine) setIP(ip string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ip = ip
}

// http is the URL of its node's HTTP port.
func (m *machine) http() string { return "https://" + net.JoinHostPort(m.address(), "8800") }

// command runs a program in the machine. It has nothing of this program's environment.
func (m *machine) command(env []string, args ...string) *exec.Cmd {
	args = slices.Concat(netns.In(m.host.Namespace), []string{"chroot", m.root}, args)
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append([]string{searchPath, "LANG=C.UTF-8"}, env...)
	return cmd
}

// typed has root type commands into a shell of the machine, after those of every shell.
func (m *machine) typed(ctx context.Context, everyShell, code string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, maxBlock)
	defer cancel()
	cmd := m.command([]string{"HOME=" + home, "USER=root"}, "bash", "-euc", "cd\n"+everyShell+code)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	err := startAndWait(ctx, cmd)
	return out.String(), err
}

// copyFile copies a file as root. One that is there keeps its owner and, unless the
// mode is copied too, its mode.
func copyFile(from, to string, withMode bool) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	if err := os.WriteFile(to, text, info.Mode().Perm()); err != nil || !withMode {
		return err
	}
	return os.Chmod(to, info.Mode().Perm())
}

// lastWords are the end of its node's log, without requests.
func (m *machine) lastWords() string {
	text, err := os.ReadFile(m.path(logFile))
	if err != nil {
		return err.Error()
	}
	var told []string
	for line := range strings.Lines(string(text)) {
		if !strings.Contains(line, "msg=request ") {
			told = append(told, line)
		}
	}
	return strings.Join(told[max(0, len(told)-maxLastWords):], "")
}

// scp copies files of this machine to another one: scp [-p] FILE… root@ADDRESS:PATH.
func (m *machine) scp(args []string) error {
	keep := len(args) > 0 && args[0] == "-p"
	if keep {
		args = args[1:]
	}
	if len(args) < 2 {
		return fmt.Errorf("this scp takes [-p] FILE… root@ADDRESS:PATH, not %q", args)
	}
	files, target := args[:len(args)-1], args[len(args)-1]
	// No path has a colon, and an IPv6 address has several.
	colon := strings.LastIndexByte(target, ':')
	if colon < 0 {
		return fmt.Errorf("%s names no file of a machine", target)
	}
	address, path := strings.Trim(strings.TrimPrefix(target[:colon], "root@"), "[]"), target[colon+1:]
	if !strings.HasPrefix(path, "/") {
		path = home + "/" + path
	}
	for _, other := range m.others {
		if other.address() != address {
			continue
		}
		for _, file := range files {
			to := other.path(path)
			if strings.HasSuffix(path, "/") {
				to = filepath.Join(to, filepath.Base(file))
			}
			if err := copyFile(m.path(file), to, keep); err != nil {
				return err
			}
		}
		return nil
	}
	return fmt.Errorf("there is no machine %s", target)
}
