package testcluster

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
)

// Ports below Linux's ephemeral range: nobody is given one by chance between
// a node's stop and its restart.
const (
	firstPort = 12000
	lastPort  = 31000
	// blockPorts is how many ports a process takes for itself at a time. The first
	// of them it listens on until it ends, and so keeps the others from whatever
	// else runs tests on this machine, also while nobody listens on them.
	blockPorts = 500
)

var ports struct {
	sync.Mutex
	next, end int            // what is left of the newest block
	blocks    []net.Listener // of this process, by which it keeps them
}

var errNoPorts = errors.New("finding free ports: other processes have all of them")

// FreePorts returns n loopback addresses that nobody listens on, by TCP or UDP,
// and that no other call of this function or FreeBase is given, in this process or
// another, until this one ends.
func FreePorts(n int) ([]string, error) {
	ports.Lock()
	defer ports.Unlock()
	var found []string
	for len(found) < n {
		port, err := takePorts(1)
		if err != nil {
			return nil, err
		}
		if PortFree(port) {
			found = append(found, address(port))
		}
	}
	return found, nil
}

// FreeBase returns the first of n consecutive ports, all of which are as those of
// FreePorts.
func FreeBase(n int) (int, error) {
	ports.Lock()
	defer ports.Unlock()
	for {
		base, err := takePorts(n)
		if err != nil {
			return 0, err
		}
		free := true
		for port := base; port < base+n && free; port++ {
			free = PortFree(port)
		}
		if free {
			return base, nil
		}
	}
}

// takePorts returns the first of n ports that are no other caller's. The caller
// holds the lock.
func takePorts(n int) (first int, err error) {
	if n >= blockPorts {
		return 0, fmt.Errorf("finding %d free ports: at most %d can be had at a time", n, blockPorts-1)
	}
	if ports.end-ports.next < n {
		if err := takeBlock(); err != nil {
			return 0, err
		}
	}
	first = ports.next
	ports.next += n
	return first, nil
}

func takeBlock() error {
	const count = (lastPort - firstPort) / blockPorts
	at := rand.IntN(count)
	for i := range count {
		base := firstPort + (at+i)%count*blockPorts
		l, err := net.Listen("tcp", address(base))
		if err != nil {
			continue
		}
		ports.blocks = append(ports.blocks, l)
		ports.next, ports.end = base+1, base+blockPorts
		return nil
	}
	return errNoPorts
}

// PortFree is true where nobody listens on the loopback port, by TCP or UDP.
func PortFree(port int) bool {
	tcp, err := net.Listen("tcp", address(port))
	if err != nil {
		return false
	}
	udp, err := net.ListenPacket("udp", address(port))
	if err != nil {
		return errors.Join(tcp.Close(), err) == nil
	}
	return errors.Join(tcp.Close(), udp.Close()) == nil
}

func address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// portsFrom returns the addresses of node i of a cluster whose first HTTP port
// is base: HTTP, peer and gossip, ten apart between nodes.
func portsFrom(base, i int) ([]string, error) {
	var all []string
	for offset := range 3 {
		port := base + 10*i + offset
		if !PortFree(port) {
			return nil, fmt.Errorf("port %d is in use", port)
		}
		all = append(all, address(port))
	}
	return all, nil
}
