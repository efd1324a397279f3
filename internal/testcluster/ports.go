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
)

var ports struct {
	sync.Mutex
	given map[int]bool
}

// FreePorts returns n loopback addresses that nobody listens on, by TCP or UDP,
// and that no other call of this process was given.
func FreePorts(n int) ([]string, error) {
	ports.Lock()
	defer ports.Unlock()
	if ports.given == nil {
		ports.given = map[int]bool{}
	}
	var found []string
	for range 1000 {
		port := firstPort + rand.IntN(lastPort-firstPort)
		if ports.given[port] || !PortFree(port) {
			continue
		}
		ports.given[port] = true
		found = append(found, address(port))
		if len(found) == n {
			return found, nil
		}
	}
	return nil, errors.New("finding free ports: 1000 tries were not enough")
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
