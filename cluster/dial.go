package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/raft"

	"pipesync/cluster/certs"
)

// peerDialTimeout bounds the connection and its preamble.
const peerDialTimeout = 3 * time.Second

// dialFunc opens a TCP connection to a peer.
type dialFunc func(ctx context.Context, addr string) (net.Conn, error)

func dialTCP(ctx context.Context, addr string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "tcp", addr)
}

// dialer opens connections to other nodes' peer ports.
type dialer struct {
	tcp   dialFunc
	certs *certs.Store // nil: plain text
	// pins are the fingerprints of the CAs of the cluster that is to be joined without a
	// certificate; else empty.
	pins []string
}

// dial connects, and exchanges the preamble. An error means that nothing has been
// sent but that.
func (d dialer) dial(ctx context.Context, addr string, p preamble) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, peerDialTimeout)
	defer cancel()
	conn, err := d.tcp(ctx, addr)
	if err != nil {
		return nil, fmt.Errorf("dialing peer %s: %w", addr, err)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	secured, err := d.secure(ctx, conn, p)
	if err == nil {
		err = greetPeer(secured, p)
	}
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("dialing peer %s: %w", addr, err)
	}
	return secured, nil
}

// secure makes sure by TLS that the node that is meant is at the other end. One
// that joins means any node of the cluster that its own certificate is for.
func (d dialer) secure(ctx context.Context, conn net.Conn, p preamble) (net.Conn, error) {
	if d.certs == nil {
		return conn, nil
	}
	want := certs.Identity{ClusterID: p.ClusterID, NodeID: p.NodeID}
	if want.ClusterID == "" {
		want.ClusterID = d.certs.Self().ClusterID
	}
	config := d.certs.ClientConfig(want)
	if len(d.pins) > 0 {
		config = d.certs.PinnedConfig(d.pins)
	}
	client := tls.Client(conn, config)
	if err := client.HandshakeContext(ctx); err != nil {
		hint := ""
		if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
			hint = " (as a peer does that runs with --insecure)"
		}
		return nil, fmt.Errorf("TLS: %w%s", err, hint)
	}
	return tlsConn{client}, nil
}

// tlsConn is closed without a farewell, for which a peer that reads no more would
// let whoever closes wait. Nothing can be cut off by it unnoticed: on both kinds
// of connections each message has a length.
type tlsConn struct{ *tls.Conn }

func (c tlsConn) Close() error { return c.NetConn().Close() }

func greetPeer(conn net.Conn, p preamble) error {
	head, err := p.encode()
	if err != nil {
		return err
	}
	if _, err := conn.Write(head); err != nil {
		return err
	}
	return readAnswer(conn)
}

// raftStream is Raft's side of the peer port.
type raftStream struct {
	*connQueue
	dialer    dialer
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
	return s.dialer.dial(ctx, addr, preamble{Kind: kindRaft, ClusterID: s.clusterID, NodeID: id})
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
