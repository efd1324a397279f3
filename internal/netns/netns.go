// Package netns makes hosts for tests: network namespaces of Linux on a network of
// their own, which nothing outside can reach. It needs root and iproute2.
package netns

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// MaxHosts of one lab.
const MaxHosts = 9

const (
	labPrefix  = "pipesync-"  // then the id of the process that made it
	namespaces = "/run/netns" // where iproute2 keeps them
)

// Host is a namespace with one address.
type Host struct {
	Namespace string `json:"namespace"`
	IP        string `json:"ip"`
}

// Lab is hosts around a hub, a namespace with a bridge: whoever runs there reaches
// them all. A program in the hub may Cut and Heal.
type Lab struct {
	Hub   string `json:"hub"`
	Hosts []Host `json:"hosts"`
	IPv6  bool   `json:"ipv6"`
}

// Available is nil where a lab can be made, else it says why not.
func Available() error {
	if os.Getuid() != 0 {
		return errors.New("network namespaces need root")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		return errors.New("network namespaces need 'ip' (Debian: apt-get install iproute2)")
	}
	return nil
}

// Make makes a lab of so many hosts, with addresses that are for documentation (RFC
// 5737, RFC 3849) and so nobody's. Remove it in the end.
func Make(hosts int, ipv6 bool) (*Lab, error) {
	if hosts < 1 || hosts > MaxHosts {
		return nil, fmt.Errorf("making a lab: %d hosts, at most %d", hosts, MaxHosts)
	}
	if err := removeLeftOver(); err != nil {
		return nil, err
	}
	prefix := labPrefix + strconv.Itoa(os.Getpid())
	l := &Lab{Hub: prefix + "-hub", IPv6: ipv6}
	err := ip("netns add " + l.Hub)
	for _, command := range []string{
		"link set lo up", "link add hub type bridge", l.use(hubNumber) + " dev hub", "link set hub up",
		"link add " + nowhere + " type bridge",
	} {
		if err == nil {
			err = ip("-n " + l.Hub + " " + command)
		}
	}
	for i := 0; i < hosts && err == nil; i++ {
		h := Host{Namespace: prefix + "-" + strconv.Itoa(i), IP: l.address(i + 1)}
		err = ip("netns add " + h.Namespace)
		l.Hosts = append(l.Hosts, h)
		for _, command := range []string{
			"-n " + l.Hub + " link add " + port(i) + " type veth peer name eth0 netns " + h.Namespace,
			"-n " + l.Hub + " link set " + port(i) + " master hub up",
			"-n " + h.Namespace + " link set lo up",
			"-n " + h.Namespace + " " + l.use(i+1) + " dev eth0",
			"-n " + h.Namespace + " link set eth0 up",
		} {
			if err == nil {
				err = ip(command)
			}
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("making a lab: %w", err), l.Remove())
	}
	return l, nil
}

// address is the one of that number.
func (l *Lab) address(number int) string {
	if l.IPv6 {
		return "2001:db8::" + strconv.Itoa(number)
	}
	return "192.0.2." + strconv.Itoa(number)
}

// use is how ip is told to take an address: at once, without looking for another who
// has it.
func (l *Lab) use(number int) string {
	if l.IPv6 {
		return "addr add " + l.address(number) + "/64 nodad"
	}
	return "addr add " + l.address(number) + "/24"
}

func port(host int) string { return "port" + strconv.Itoa(host) }

// In is what to run a program with, so that it runs in the namespace.
func In(namespace string) []string { return []string{"ip", "netns", "exec", namespace} }

// Cut takes a host off the network: nothing comes or goes, and nobody is told.
func (l *Lab) Cut(host int) error { return ip("link set " + port(host) + " down") }

// Heal puts it back.
func (l *Lab) Heal(host int) error { return ip("link set " + port(host) + " up") }

// Isolate cuts the links of a host to all others that are isolated too. They go on to
// reach the hub, and those that aren't.
func (l *Lab) Isolate(host int) error {
	return ip("link set " + port(host) + " type bridge_slave isolated on")
}

// Rejoin ends Isolate.
func (l *Lab) Rejoin(host int) error {
	return ip("link set " + port(host) + " type bridge_slave isolated off")
}

// Readdress gives a host the address of that number, 10 to 98, in place of its own.
func (l *Lab) Readdress(host, number int) error {
	h := &l.Hosts[host]
	for _, command := range []string{"addr flush dev eth0 scope global", l.use(number) + " dev eth0"} {
		if err := ip("-n " + h.Namespace + " " + command); err != nil {
			return err
		}
	}
	h.IP = l.address(number)
	return nil
}

// Destroy takes a host away for good.
func (l *Lab) Destroy(host int) error { return remove(l.Hosts[host].Namespace) }

// Remove removes the namespaces. What still runs there goes on without a network.
func (l *Lab) Remove() error {
	var errs []error
	for _, h := range l.Hosts {
		errs = append(errs, remove(h.Namespace))
	}
	return errors.Join(append(errs, remove(l.Hub))...)
}

// remove removes a namespace that may be gone by now.
func remove(namespace string) error {
	err := ip("netns del " + namespace)
	if _, gone := os.Stat(filepath.Join(namespaces, namespace)); errors.Is(gone, fs.ErrNotExist) {
		return nil
	}
	return err
}

// removeLeftOver removes the labs of programs that were killed before they could.
func removeLeftOver() error {
	found, err := filepath.Glob(filepath.Join(namespaces, labPrefix+"*"))
	if err != nil {
		return err
	}
	for _, path := range found {
		name := filepath.Base(path)
		pid, _, _ := strings.Cut(strings.TrimPrefix(name, labPrefix), "-")
		if _, err := os.Stat("/proc/" + pid); errors.Is(err, fs.ErrNotExist) {
			if err := remove(name); err != nil {
				return fmt.Errorf("removing a lab that was left over: %w", err)
			}
		}
	}
	return nil
}

func ip(command string) error {
	out, err := exec.Command("ip", strings.Fields(command)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip %s: %w: %s", command, err, out)
	}
	return nil
}
