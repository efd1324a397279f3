package cluster

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/hashicorp/raft"
)

// peerDialTimeout bounds the connection and its preamble.
const peerDialTimeout = 3 * time.Second

// dialFunc opens a TCP connection to a peer.
type dialFunc func(ctx context.Context, addr string) (net.Conn, error)

func dialTCP(ctx context.Context, addr string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "tcp", addr)
}

// dialPeer connects and exchanges the preamble. An error means that nothing
// has been sent but the preamble.
func dialPeer(ctx context.Context, dial dialFunc, addr string, p preamble) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, peerDialTimeout)
	defer cancel()
	conn, err := dial(ctx, addr)
	if err != nil {
		return nil, fmt.Errorf("dialing peer %s: %w", addr, err)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	err = greetPeer(conn, p)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("dialing peer %s: %w", addr, err)
	}
	return conn, nil
}

func greetPeer(conn net.Conn, p preamble) error {
	head, err := p.encode()
	if err != nil {
		return err
	}
	if _, err := conn.Write(head); err != nil {
		return err
	}
	var status [1]byte
	if _, err := io.ReadFull(conn, status[:]); err != nil {
		return fmt.Errorf("awaiting the peer's preamble status: %w", err)
	}
	return preambleStatus(status[0]).err()
}

// raftStream is Raft's side of the peer port.
type raftStream struct {
	*connQueue
	dial      dialFunc
	clusterID string
	advertise peerAddr
}

// Dial implements raft.StreamLayer. The address is one that meant made.
func (s *raftStream) Dial(address raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	id, addr, ok := strings.Cut(string(address), meantMark)
	if !ok {
		return nil, fmt.Errorf("dialing peer %s: it is not told which node is meant", address)
	}
	return dialPeer(ctx, s.dial, addr, preamble{Kind: kindRaft, ClusterID: s.clusterID, NodeID: id})
}

// meantMark is in no node id.
const meantMark = "@"

// meant is an address with the id of the node that is looked for there. Raft's
// transport dials by address alone, and keeps its connections by it.
func meant(id raft.ServerID, address raft.ServerAddress) raft.ServerAddress {
	return raft.ServerAddress(string(id) + meantMark + string(address))
}

// Addr is what Raft takes for this node's own address: the one that others dial.
func (s *raftStream) Addr() net.Addr { return s.advertise }

type peerAddr string

func (peerAddr) Network() string  { return "tcp" }
func (a peerAddr) String() string { return string(a) }
