package cluster

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"

	"pipesync/internal/testcluster"
)

// fakePeer answers preambles with status, and then does serve.
func fakePeer(t *testing.T, status preambleStatus, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { _ = l.Close(); <-done })
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if _, _, err := readPreamble(c); err == nil {
				_, _ = c.Write([]byte{byte(status)})
				serve(c)
			}
			_ = c.Close()
		}
	}()
	return l.Addr().String()
}

func readRequest(t *testing.T, c net.Conn) {
	req, err := http.ReadRequest(bufio.NewReader(c))
	if err == nil {
		_, err = io.Copy(io.Discard, req.Body)
	}
	if err != nil {
		t.Errorf("reading the request: %v", err)
	}
}

func TestHopFailures(t *testing.T) {
	nobody, err := testcluster.FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		addr  string
		class string
	}{
		{"nobody listens", nobody[0], "not applied"},
		{"another cluster", fakePeer(t, statusWrongCluster, func(net.Conn) {}), "not applied"},
		{"not joined", fakePeer(t, statusNotJoined, func(net.Conn) {}), "not applied"},
		{"closed after the preamble", fakePeer(t, statusOK, func(net.Conn) {}), "unknown"},
		{"closed after the request", fakePeer(t, statusOK, func(c net.Conn) { readRequest(t, c) }), "unknown"},
		{"half a reply", fakePeer(t, statusOK, func(c net.Conn) {
			readRequest(t, c)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nPipesync-Outcome: decided\r\n\r\nhalf")
		}), "unknown"},
		{"no outcome", fakePeer(t, statusOK, func(c net.Conn) {
			readRequest(t, c)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}), "unknown"},
		{"not applied", fakePeer(t, statusOK, func(c net.Conn) {
			readRequest(t, c)
			_, _ = io.WriteString(c, "HTTP/1.1 503 no\r\nContent-Length: 0\r\nPipesync-Outcome: not-applied\r\nPipesync-Cause: overloaded\r\n\r\n")
		}), "not applied"},
		{"decided", fakePeer(t, statusOK, func(c net.Conn) {
			readRequest(t, c)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nPipesync-Outcome: decided\r\n\r\nok")
		}), "decided"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHopClient(dialer{tcp: dialTCP})
			defer h.close()
			reply, err := h.send(t.Context(), hopRequest{addr: c.addr, op: opPropose, term: 3, clusterID: "c"}, []byte("body"))
			if got := class(t, err); got != c.class {
				t.Fatalf("%s: %v", got, err)
			}
			if c.class == "decided" && string(reply) != "ok" {
				t.Errorf("reply %q", reply)
			}
		})
	}
}

// A deadline that passes while the reply is awaited leaves the outcome open;
// one that passes while dialing does not.
func TestHopDeadline(t *testing.T) {
	arrived := make(chan struct{})
	silent := fakePeer(t, statusOK, func(c net.Conn) {
		readRequest(t, c)
		close(arrived)
		_, _ = io.Copy(io.Discard, c) // until the client gives up
	})
	h := newHopClient(dialer{tcp: dialTCP})
	defer h.close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-arrived; cancel() }()
	_, err := h.send(ctx, hopRequest{addr: silent, op: opPropose, clusterID: "c"}, []byte("body"))
	if class(t, err) != "unknown" {
		t.Errorf("after the request was written: %v", err)
	}

	dialing := make(chan struct{})
	ctx, cancel = context.WithCancel(t.Context())
	h = newHopClient(dialer{tcp: func(context.Context, string) (net.Conn, error) {
		close(dialing)
		<-ctx.Done() // the transport's own context outlives the request's
		return nil, ctx.Err()
	}})
	go func() { <-dialing; cancel() }()
	_, err = h.send(ctx, hopRequest{addr: silent, op: opPropose, clusterID: "c"}, []byte("body"))
	if class(t, err) != "not applied" || !errors.Is(err, errUnreachable) {
		t.Errorf("while dialing: %v", err)
	}
}

// brokenConn is a connection whose other side has gone when broken is closed.
type brokenConn struct {
	net.Conn
	broken <-chan struct{}
}

func (c brokenConn) Write(b []byte) (int, error) {
	select {
	case <-c.broken:
		return 0, net.ErrClosed
	default:
		return c.Conn.Write(b)
	}
}

// A node that has gone may leave a connection on which nothing can be written any
// more. Where no other is to be had, nothing was sent.
func TestHopOnAConnectionThatWasLeft(t *testing.T) {
	addr := fakePeer(t, statusOK, func(c net.Conn) {
		readRequest(t, c)
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nPipesync-Outcome: decided\r\n\r\nok")
		_, _ = io.Copy(io.Discard, c)
	})
	gone := make(chan struct{})
	h := newHopClient(dialer{tcp: func(ctx context.Context, addr string) (net.Conn, error) {
		select {
		case <-gone:
			return nil, errors.New("connection refused")
		default:
		}
		c, err := dialTCP(ctx, addr)
		return brokenConn{c, gone}, err
	}})
	defer h.close()
	for _, want := range []string{"decided", "not applied"} {
		_, err := h.send(t.Context(), hopRequest{addr: addr, op: opPropose, term: 3, clusterID: "c"}, []byte("body"))
		if got := class(t, err); got != want {
			t.Errorf("%v, want it %s", err, want)
		}
		if want == "decided" {
			close(gone)
		}
	}
}
