package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"pipesync/internal/durable"
)

const (
	devStateName    = "dev.json"
	devStateVersion = 1
	maxDevNodes     = 9
	devNodeStep     = 10  // ports from one node to the next
	devBusyStep     = 100 // ports from one attempt to the next
	maxDevMoves     = 20

	firstChancePort = 12_000
	lastChancePort  = 30_000
)

// devState is what a development cluster keeps beside its nodes' directories,
// mode 0600, so that it comes back the same. Peer and gossip ports are part of
// the cluster's configuration and never change; HTTP ports may.
type devState struct {
	Version int        `json:"version"`
	Nodes   []devPorts `json:"nodes"`
	APIKey  string     `json:"api_key,omitempty"`
}

type devPorts struct {
	HTTP   string `json:"http"`
	Peer   string `json:"peer"`
	Gossip string `json:"gossip"`
}

// loadDevState returns the state kept in dir; false: there is none yet.
func loadDevState(dir string) (devState, bool, error) {
	var s devState
	text, err := os.ReadFile(filepath.Join(dir, devStateName))
	if errors.Is(err, fs.ErrNotExist) {
		return s, false, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	if err == nil && (s.Version != devStateVersion || len(s.Nodes) == 0 || len(s.Nodes) > maxDevNodes) {
		err = fmt.Errorf("it has version %d and %d nodes: it is not of this binary", s.Version, len(s.Nodes))
	}
	if err != nil {
		return s, false, fmt.Errorf("reading %s: %w", filepath.Join(dir, devStateName), err)
	}
	return s, true, nil
}

func (s devState) save(dir string) error {
	text, err := json.MarshalIndent(s, "", "  ") // #nosec G117 -- a cluster on this machine for a try
	if err != nil {
		return err
	}
	return durable.Replace(dir, devStateName, append(text, '\n'))
}

// newDevPorts gives each of count nodes its ports, base + 10·i, moved on by 100
// until none of them is busy. A base of 0 is one by chance, below the range from
// which Linux takes the ports of connections going out: a cluster that comes back
// finds its ports free.
func newDevPorts(count, base int) ([]devPorts, error) {
	if base == 0 {
		base = firstChancePort + rand.IntN(lastChancePort-firstChancePort) // #nosec G404 -- a port is no secret
	}
	for range maxDevMoves {
		nodes := devPortsAt(count, base)
		if allFree(nodes) {
			return nodes, nil
		}
		base += devBusyStep
	}
	return nil, fmt.Errorf("no %d free ports from %d on: name others by --http-port, or 0 for any", count, base-maxDevMoves*devBusyStep)
}

func devPortsAt(count, base int) []devPorts {
	nodes := make([]devPorts, count)
	for i := range nodes {
		port := base + devNodeStep*i
		nodes[i] = devPorts{HTTP: loopback(port), Peer: loopback(port + 1), Gossip: loopback(port + 2)}
	}
	return nodes
}

// moveHTTP gives the nodes of a cluster that comes back their HTTP ports: those
// from base on, or, where base is negative, those that they had.
func (s devState) moveHTTP(base int) error {
	for i := range s.Nodes {
		for _, fixed := range []string{s.Nodes[i].Peer, s.Nodes[i].Gossip} {
			if !isFree(fixed) {
				return fmt.Errorf("port %s is busy, and the nodes of this directory know each other by it: free it, or start without --data-dir", fixed)
			}
		}
	}
	if base == 0 {
		for i := range s.Nodes {
			s.Nodes[i].HTTP = loopback(0)
		}
		return nil
	}
	if base < 0 {
		if s.httpFree() {
			return nil
		}
		_, port, err := net.SplitHostPort(s.Nodes[0].HTTP)
		if err != nil {
			return fmt.Errorf("reading the port of %q: %w", s.Nodes[0].HTTP, err)
		}
		if base, err = strconv.Atoi(port); err != nil {
			return fmt.Errorf("reading the port of %q: %w", s.Nodes[0].HTTP, err)
		}
	}
	for range maxDevMoves {
		for i := range s.Nodes {
			s.Nodes[i].HTTP = loopback(base + devNodeStep*i)
		}
		if s.httpFree() {
			return nil
		}
		base += devBusyStep
	}
	return errors.New("no free HTTP ports: name others by --http-port, or 0 for any")
}

func (s devState) httpFree() bool {
	for _, n := range s.Nodes {
		if !isFree(n.HTTP) {
			return false
		}
	}
	return true
}

func allFree(nodes []devPorts) bool {
	for _, n := range nodes {
		if !isFree(n.HTTP) || !isFree(n.Peer) || !isFree(n.Gossip) {
			return false
		}
	}
	return true
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
