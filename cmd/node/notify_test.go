package main

import (
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// serviceManager is where nodes of this process tell how they are.
func serviceManager(t *testing.T) *net.UnixConn {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = socket.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return socket
}

func awaitState(t *testing.T, socket *net.UnixConn, want string) {
	t.Helper()
	if err := socket.SetReadDeadline(time.Now().Add(maxTestWait)); err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, 4096)
	n, err := socket.Read(buffer)
	if err != nil || !strings.HasPrefix(string(buffer[:n]), want) {
		t.Fatalf("told %q, want %s; %v", buffer[:n], want, err)
	}
}

func TestNodeTellsTheServiceManager(t *testing.T) {
	socket := serviceManager(t)
	dir, gossipKey := t.TempDir(), mintGossipKey()
	n1 := serveNode(t, filepath.Join(dir, "n1"), gossipKey, "--bootstrap", "--insecure")
	awaitState(t, socket, "READY=1\nSTATUS=serves")
	n1.awaitReady()

	// One that waits has started too, and serves once it has joined.
	n2 := serveNode(t, filepath.Join(dir, "n2"), gossipKey, "--insecure")
	awaitState(t, socket, "READY=1\nSTATUS=waits to be told to join")
	mustCommand(t, n2.admin(), nil, "join", n1.Peer, "--token-file", n1.adminTokenFile())
	awaitState(t, socket, "READY=1\nSTATUS=serves")
	n2.terminate()
	awaitState(t, socket, "STOPPING=1")
	n1.terminate()
	awaitState(t, socket, "STOPPING=1")
}
