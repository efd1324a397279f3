package netns

import (
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
)

const (
	// Hub stands for the hub where a host is asked for.
	Hub = -1
	// hubNumber is the number of its address.
	hubNumber = 99
	// nowhere is a device of the hub that is down: what is sent there is lost.
	nowhere = "nowhere"
	// slowBurstBytes may pass a slow link at once, and slowQueueMillis is for how long a
	// packet may wait before it is lost instead.
	slowBurstBytes, slowQueueMillis = 16 << 10, 400
)

// CanCutLinks is nil where CutLink works, else it says why not. It is for programs in
// the hub.
func CanCutLinks() error {
	return trial("links can't be cut in one direction",
		"qdisc replace dev "+nowhere+" clsact",
		"filter add dev "+nowhere+" ingress prio 1 protocol ip u32 match ip dst 192.0.2.1 action mirred egress redirect dev "+nowhere,
		"qdisc del dev "+nowhere+" clsact")
}

// CanSlow is nil where Slow works, else it says why not. It is for programs in the hub.
func CanSlow() error {
	return trial("links can't be slowed",
		"qdisc replace dev "+nowhere+" root "+shape(1<<10),
		"qdisc del dev "+nowhere+" root")
}

func trial(what string, commands ...string) error {
	for _, command := range commands {
		if err := tc(nil, command); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
	return nil
}

// CutLink has all be lost that a host sends to another, or to the Hub, and nobody is
// told. What comes the other way isn't touched. It ends with HealLink, with no effect on
// other links.
func (l *Lab) CutLink(from, to int) error {
	if err := tc(nil, "qdisc replace dev "+port(from)+" clsact"); err != nil {
		return err
	}
	match := "protocol ip u32 match ip dst " + l.ip(to) + "/32"
	if l.IPv6 {
		match = "protocol ipv6 u32 match ip6 dst " + l.ip(to) + "/128"
	}
	return tc(nil, "filter add "+l.filter(from, to)+" "+match+" action mirred egress redirect dev "+nowhere)
}

// HealLink ends CutLink.
func (l *Lab) HealLink(from, to int) error { return tc(nil, "filter del "+l.filter(from, to)) }

// filter is which of a port's filters is for the link.
func (l *Lab) filter(from, to int) string {
	return "dev " + port(from) + " ingress prio " + strconv.Itoa(2+to)
}

// ip is the address of a host, or of the hub.
func (l *Lab) ip(host int) string {
	if host == Hub {
		return l.address(hubNumber)
	}
	return l.Hosts[host].IP
}

// Slow has no more than so many bytes a second come to a host, and as many go from it.
func (l *Lab) Slow(host, bytesPerSecond int) error {
	return l.both(host, "qdisc replace dev %s root "+shape(bytesPerSecond))
}

// Hasten ends Slow.
func (l *Lab) Hasten(host int) error { return l.both(host, "qdisc del dev %s root") }

// both does something at both ends of the wire of a host.
func (l *Lab) both(host int, command string) error {
	return errors.Join(
		tc(nil, fmt.Sprintf(command, port(host))),
		tc(In(l.Hosts[host].Namespace), fmt.Sprintf(command, "eth0")))
}

func shape(bytesPerSecond int) string {
	return fmt.Sprintf("tbf rate %dbps burst %d latency %dms", bytesPerSecond, slowBurstBytes, slowQueueMillis)
}

func tc(in []string, command string) error {
	args := append(append([]string{}, in...), "tc")
	args = append(args, strings.Fields(command)...)
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		return fmt.Errorf("tc %s: %w: %s", command, err, out)
	}
	return nil
}
