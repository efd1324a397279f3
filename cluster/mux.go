package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"pipesync/cluster/certs"
	"pipesync/internal/planted"
)

const (
	preambleTimeout = 5 * time.Second
	// maxPeerConns bounds the open connections to the peer port, and
	// maxPeerHTTPConns those that carry hops: other members' Raft has room beside
	// them, however many hops there are.
	maxPeerConns     = 2048
	maxPeerHTTPConns = 1792
)

// peerMux owns the peer port: it reads each connection's preamble and hands
// the connection on to Raft or to the HTTP server. It remembers every
// connection that it has accepted, because Raft's transport never closes those
// on which it waits for the next request.
type peerMux struct {
	listener net.Listener
	logger   *slog.Logger
	secure   *tls.Config // nil: plain text
	// expect says what a connection's preamble is answered, and why where it is
	// refused: a text for the other side, which may be anybody.
	expect func(*peerConn, preamble) (preambleStatus, string)
	warned atomic.Int64 // when a refusal was last told loudly, in Unix nanoseconds

	raft *connQueue
	http *connQueue

	maxHops int // maxPeerHTTPConns, but for tests

	mu     sync.Mutex
	open   map[*peerConn]struct{}
	hops   int // of them, those of kindHTTP
	closed bool
	wg     sync.WaitGroup
}

// peerConn is an accepted connection past its preamble.
type peerConn struct {
	net.Conn
	mux *peerMux
	// clusterID is what the dialer named: empty for one that wants to join.
	clusterID string
	// peer is the node whose certificate the dialer has shown; zero without TLS.
	peer certs.Identity
	kind connKind
	once sync.Once
}

func (c *peerConn) Close() error {
	c.once.Do(func() {
		c.mux.mu.Lock()
		delete(c.mux.open, c)
		if c.kind == kindHTTP {
			c.mux.hops--
		}
		c.mux.mu.Unlock()
	})
	return c.Conn.Close()
}

// newPeerMux owns l. Without store it speaks plain text.
func newPeerMux(l net.Listener, logger *slog.Logger, store *certs.Store, expect func(*peerConn, preamble) (preambleStatus, string)) *peerMux {
	m := &peerMux{
		listener: l, logger: logger, expect: expect,
		raft: newConnQueue(l.Addr()), http: newConnQueue(l.Addr()),
		open: make(map[*peerConn]struct{}), maxHops: maxPeerHTTPConns,
	}
	if store != nil {
		m.secure = store.ServerConfig()
	}
	m.wg.Go(m.accept)
	return m
}

func (m *peerMux) accept() {
	for {
		conn, err := m.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			// Such as too many open files: others may free some soon.
			m.logger.Warn("accepting a peer connection", "error", err)
			time.Sleep(acceptRetryDelay)
			continue
		}
		if m.secure != nil {
			conn = tlsConn{tls.Server(conn, m.secure)} // the handshake is greet's
		}
		pc := &peerConn{Conn: conn, mux: m}
		if !m.track(pc) {
			_ = conn.Close()
			continue
		}
		m.wg.Go(func() { m.greet(pc) })
	}
}

const acceptRetryDelay = 50 * time.Millisecond

func (m *peerMux) track(c *peerConn) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed || len(m.open) >= maxPeerConns {
		return false
	}
	m.open[c] = struct{}{}
	return true
}

func (m *peerMux) greet(c *peerConn) {
	_ = c.SetDeadline(time.Now().Add(preambleTimeout))
	p, status, err := c.hear()
	if err != nil {
		m.refused(c, err)
		_ = c.Close()
		return
	}
	reason := ""
	if status == statusOK {
		status, reason = m.expect(c, p)
	}
	if status == statusOK {
		status = m.admit(c, p)
	}
	answer := []byte{byte(statusOK)}
	if status != statusOK {
		answer = refusal(status, reason)
		m.refused(c, fmt.Errorf("%w: %s", status.err(), reason))
	}
	if _, err = c.Write(answer); err != nil || status != statusOK {
		_ = c.Close()
		return
	}
	_ = c.SetDeadline(time.Time{})
	queue := m.http
	if p.Kind == kindRaft {
		queue = m.raft
	}
	queue.put(c)
}

// hear has TLS shake hands, where the port speaks it, and reads the preamble.
func (c *peerConn) hear() (preamble, preambleStatus, error) {
	if secured, ok := c.Conn.(tlsConn); ok {
		if err := secured.Handshake(); err != nil {
			return preamble{}, 0, fmt.Errorf("TLS: %w", sayPlainly(err))
		}
	}
	return readPreamble(c.Conn)
}

// sayPlainly tells a dialer that has begun with a preamble, not with TLS, what it
// runs into.
func sayPlainly(err error) error {
	var record tls.RecordHeaderError
	if !errors.As(err, &record) || record.Conn == nil || string(record.RecordHeader[:len(preambleMagic)]) != preambleMagic {
		return err
	}
	_, _ = record.Conn.Write(refusal(statusWantsTLS, ""))
	return errPlainPeer
}

// authenticate finds out from the certificate that c has shown who has dialled,
// which has to be a node of the cluster, or one without any that wants to join.
func (c *peerConn) authenticate(store *certs.Store, clusterID string, p preamble) (preambleStatus, string) {
	secured, ok := c.Conn.(tlsConn)
	if !ok {
		return statusNoCertificate, ""
	}
	var err error
	c.peer, err = store.Peer(secured.ConnectionState(), certs.Identity{ClusterID: clusterID})
	switch {
	case errors.Is(err, certs.ErrNoCertificate) && p.ClusterID == "":
		return statusOK, ""
	case errors.Is(err, certs.ErrNoCertificate):
		return statusNoCertificate, err.Error()
	case err != nil && !planted.Is(planted.AnyCertificate):
		return statusBadCert, err.Error()
	}
	return statusOK, ""
}

// loudRefusals is how far apart two warnings of refused connections are: anybody
// who reaches the port can cause them.
const loudRefusals = 10 * time.Second

func (m *peerMux) refused(c *peerConn, err error) {
	level := slog.LevelDebug
	last, now := m.warned.Load(), time.Now().UnixNano()
	if isAboutTrust(err) && now-last > loudRefusals.Nanoseconds() && m.warned.CompareAndSwap(last, now) {
		level = slog.LevelWarn
	}
	m.logger.Log(context.Background(), level, "refusing a peer connection", "from", c.RemoteAddr(), "error", err)
}

// isAboutTrust says that an operator has to look at a refusal: it doesn't pass.
func isAboutTrust(err error) bool {
	for _, kind := range []error{errNoCertificate, errBadCert, errPlainText, errPlainPeer} {
		if errors.Is(err, kind) {
			return true
		}
	}
	var alert *net.OpError // the dialer refuses this node's certificate
	return errors.As(err, &alert) && alert.Op == "remote error"
}

// admit gives c its kind, if there may be one more.
func (m *peerMux) admit(c *peerConn, p preamble) preambleStatus {
	c.clusterID = p.ClusterID
	m.mu.Lock()
	defer m.mu.Unlock()
	if p.Kind == kindHTTP && m.hops >= m.maxHops {
		return statusTooMany
	}
	c.kind = p.Kind
	if c.kind == kindHTTP {
		m.hops++
	}
	return statusOK
}

// closeUntrusted ends the connections of nodes whose certificates aren't to be trusted
// any more. One that has only expired since stays: no new one would take its place.
func (m *peerMux) closeUntrusted(store *certs.Store, clusterID string) {
	m.closeConns(func(c *peerConn) bool {
		secured, ok := c.Conn.(tlsConn)
		if !ok || c.kind == 0 || c.peer == (certs.Identity{}) { // still greeting, or anonymous
			return false
		}
		_, err := store.Peer(secured.ConnectionState(), certs.Identity{ClusterID: clusterID})
		return err != nil && !errors.Is(err, certs.ErrNotValidNow)
	})
}

// closeRaft ends all connections that carry Raft.
func (m *peerMux) closeRaft() {
	m.closeConns(func(c *peerConn) bool { return c.kind == kindRaft })
}

// closeConns ends every accepted connection for which which returns true.
func (m *peerMux) closeConns(which func(*peerConn) bool) {
	m.mu.Lock()
	var victims []*peerConn
	for c := range m.open {
		if which(c) {
			victims = append(victims, c)
		}
	}
	m.mu.Unlock()
	for _, c := range victims {
		_ = c.Close()
	}
}

// Close stops listening and ends every connection.
func (m *peerMux) Close() error {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	err := m.listener.Close()
	_ = m.raft.Close()
	_ = m.http.Close()
	m.closeConns(func(*peerConn) bool { return true })
	m.wg.Wait()
	if err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("closing the peer port: %w", err)
	}
	return nil
}

// connQueue is a net.Listener fed by the mux. Closing it makes later
// connections of its kind end at once.
type connQueue struct {
	addr  net.Addr
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newConnQueue(addr net.Addr) *connQueue {
	return &connQueue{addr: addr, conns: make(chan net.Conn), done: make(chan struct{})}
}

func (q *connQueue) put(c net.Conn) {
	select {
	case q.conns <- c:
	case <-q.done:
		_ = c.Close()
	}
}

func (q *connQueue) Accept() (net.Conn, error) {
	select {
	case c := <-q.conns:
		return c, nil
	case <-q.done:
		return nil, net.ErrClosed
	}
}

func (q *connQueue) Close() error {
	q.once.Do(func() { close(q.done) })
	return nil
}

func (q *connQueue) Addr() net.Addr { return q.addr }
