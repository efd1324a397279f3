package cluster

import (
	"errors"
	"log/slog"
	"net"
	"testing"

	"github.com/hashicorp/raft"

	"pipesync/cluster/certs"
)

// Hops can't use up the peer port: Raft's connections find room beside them.
func TestHopsLeaveRoomForRaft(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	mux := newPeerMux(l, slog.New(slog.DiscardHandler), nil, func(*peerConn, preamble) (preambleStatus, string) { return statusOK, "" })
	mux.maxHops = 2
	t.Cleanup(func() { _ = mux.Close() })
	for _, q := range []*connQueue{mux.raft, mux.http} {
		go func() {
			for {
				if _, err := q.Accept(); err != nil {
					return
				}
			}
		}()
	}
	dial := func(kind connKind) (net.Conn, error) {
		return dialer{tcp: dialTCP}.dial(t.Context(), l.Addr().String(), preamble{Kind: kind, ClusterID: "c", NodeID: "n"})
	}
	var open []net.Conn
	for _, kind := range []connKind{kindHTTP, kindHTTP, kindRaft, kindRaft, kindRaft} {
		c, err := dial(kind)
		if err != nil {
			t.Fatalf("kind %d: %v", kind, err)
		}
		defer c.Close()
		open = append(open, c)
	}
	if _, err := dial(kindHTTP); !errors.Is(err, errTooMany) {
		t.Errorf("a third hop: %v", err)
	}
	mux.closeConns(func(c *peerConn) bool { return c.RemoteAddr().String() == open[0].LocalAddr().String() })
	if c, err := dial(kindHTTP); err != nil {
		t.Errorf("after one was closed: %v", err)
	} else {
		_ = c.Close()
	}
}

// At the address of a member there may be another by now.
func TestAConnectionNamesTheNodeThatIsMeant(t *testing.T) {
	t.Run("by its certificate", func(t *testing.T) { wrongNodeIs(t, certs.ErrWrongNode, newCluster(t, 2)) })
	t.Run("in plain text", func(t *testing.T) {
		wrongNodeIs(t, errWrongNode, newCluster(t, 2, func(c *Config) { c.Insecure = true }))
	})
}

func wrongNodeIs(t *testing.T, want error, all []*member) {
	t.Helper()
	n1, n2 := all[0], all[1]
	c, err := n1.running()
	if err != nil {
		t.Fatal(err)
	}
	at := n2.ports.peerAdvertise
	if _, err := c.stream.Dial(meant("n2", raft.ServerAddress(at)), peerDialTimeout); err != nil {
		t.Errorf("the one that is meant: %v", err)
	}
	if _, err := c.stream.Dial(meant("n7", raft.ServerAddress(at)), peerDialTimeout); !errors.Is(err, want) {
		t.Errorf("another: %v", err)
	}
	if _, err := c.stream.Dial(raft.ServerAddress(at), peerDialTimeout); err == nil {
		t.Error("Raft dials whichever node it is")
	}
	for _, r := range []hopRequest{
		{addr: at, op: opInfo, clusterID: c.stream.clusterID, nodeID: "n2"},
		{addr: at, op: opInfo, clusterID: c.stream.clusterID, nodeID: "n7"},
	} {
		_, err := n1.hop.send(n1.ctx(), r, nil)
		if wrong := errors.Is(err, want); wrong != (r.nodeID == "n7") || wrong && class(t, err) != "not applied" {
			t.Errorf("asking %s: %v", r.nodeID, err)
		}
	}
}
