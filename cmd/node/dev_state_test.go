package main

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pipesync/internal/testcluster"
)

func TestDevPortsFollowTheRule(t *testing.T) {
	t.Parallel()
	want := []devPorts{
		{HTTP: "127.0.0.1:8800", Peer: "127.0.0.1:8801", Gossip: "127.0.0.1:8802"},
		{HTTP: "127.0.0.1:8810", Peer: "127.0.0.1:8811", Gossip: "127.0.0.1:8812"},
		{HTTP: "127.0.0.1:8820", Peer: "127.0.0.1:8821", Gossip: "127.0.0.1:8822"},
	}
	if diff := cmp.Diff(want, devPortsAt(3, 8800)); diff != "" {
		t.Error(diff)
	}
}

func TestBusyPortMovesAllOnBy100(t *testing.T) {
	t.Parallel()
	base := quietBase(t)
	busy, err := net.ListenPacket("udp", loopback(base+12)) // the second node's gossip
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = busy.Close() }()
	got, err := newDevPorts(3, base)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(devPortsAt(3, base+100), got); diff != "" {
		t.Error(diff)
	}
}

// quietBase is a port from which on, and 100 above, all ports of three nodes are free.
func quietBase(t *testing.T) int {
	t.Helper()
	base, err := testcluster.FreeBase(2 * devBusyStep)
	if err != nil {
		t.Fatal(err)
	}
	return base
}

func TestDevStateIsPrivateAndComesBack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, found, err := loadDevState(dir); found || err != nil {
		t.Fatalf("an empty directory: %v, %v", found, err)
	}
	want := devState{Version: devStateVersion, Nodes: devPortsAt(3, 8800), APIKey: "psk_x"}
	for range 2 { // also over an older one
		if err := want.save(dir); err != nil {
			t.Fatal(err)
		}
	}
	got, found, err := loadDevState(dir)
	if diff := cmp.Diff(want, got); !found || err != nil || diff != "" {
		t.Errorf("%v, %v\n%s", found, err, diff)
	}
	info, err := os.Stat(filepath.Join(dir, devStateName))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode is %v, %v", info.Mode(), err)
	}
	for _, text := range []string{"{", `{"version":2,"nodes":[{}]}`, `{"version":1,"nodes":[]}`} {
		if err := os.WriteFile(filepath.Join(dir, devStateName), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := loadDevState(dir); err == nil {
			t.Errorf("%s was taken", text)
		}
	}
}

func TestBusyPeerPortOfAKeptClusterIsAFault(t *testing.T) {
	t.Parallel()
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = busy.Close() }()
	s := devState{Nodes: []devPorts{{HTTP: loopback(0), Peer: busy.Addr().String(), Gossip: loopback(0)}}}
	if err := s.moveHTTP(0); err == nil {
		t.Error("no error")
	}
}
