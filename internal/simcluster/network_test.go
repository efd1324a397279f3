package simcluster

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"syscall"
	"time"
)

const (
	// A message takes baseDelay and, on average, once more as much.
	baseDelay = 200 * time.Microsecond
	// linkIdle is how long a link may have been silent and still be in use.
	linkIdle = time.Second
	// acceptBacklog bounds the connections that a machine hasn't accepted yet.
	acceptBacklog = 128
)

// network is what the machines of one simulation reach each other by. Its mutex
// guards everything of it, links and connections included.
type network struct {
	mu        sync.Mutex
	rng       *rand.Rand
	listeners map[string]*listener // by address
	links     map[route]*link
	conns     map[*conn]struct{}
}

// route is one direction between two machines.
type route struct{ from, to string }

// link is what a route is like at the moment.
type link struct {
	holds int           // what is sent stays on its way while there is one
	slow  time.Duration // added to the delay of each message
	// refusals are how many say that a dial is to be refused.
	refusals int
	used     time.Time // when something was last sent
	// hindered counts what was sent into a hold, dials included.
	hindered int
	changed  chan struct{} // closed when the last hold ends
}

func newNetwork(rng *rand.Rand) *network {
	return &network{
		rng: rng, listeners: make(map[string]*listener), links: make(map[route]*link), conns: make(map[*conn]struct{}),
	}
}

// host is the machine of an address.
func host(addr string) string {
	h, _, err := net.SplitHostPort(addr)
	if err != nil {
		panic(err)
	}
	return h
}

// link needs mu.
func (n *network) link(from, to string) *link {
	l, ok := n.links[route{from, to}]
	if !ok {
		l = &link{changed: make(chan struct{})}
		n.links[route{from, to}] = l
	}
	return l
}

// delay needs mu.
func (n *network) delay(l *link) time.Duration {
	d := baseDelay + time.Duration(n.rng.ExpFloat64()*float64(baseDelay))
	if l.slow > 0 {
		d += l.slow/2 + time.Duration(n.rng.Int64N(int64(l.slow)))
	}
	return d
}

// send notes that something is sent; it needs mu.
func (l *link) send() {
	l.used = time.Now()
	if l.holds > 0 {
		l.hindered++
	}
}

// hold keeps what is sent on its way, in the direction of each route, until it is
// let go. Connections notice only by their own patience.
func (n *network) hold(routes []route) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, r := range routes {
		l := n.link(r.from, r.to)
		if l.holds == 0 {
			l.hindered = 0
		}
		l.holds++
	}
}

// release lets go what hold has kept, all at once, and returns how many messages
// that was.
func (n *network) release(routes []route) (hindered int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, r := range routes {
		l := n.link(r.from, r.to)
		l.holds--
		hindered += l.hindered
		if l.holds == 0 {
			close(l.changed)
			l.changed = make(chan struct{})
		}
	}
	for c := range n.conns {
		c.in.wake.Broadcast()
	}
	return hindered
}

// slow adds to the delay of the routes.
func (n *network) slow(routes []route, by time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, r := range routes {
		n.link(r.from, r.to).slow += by
	}
}

// reset breaks the connections along the routes, and returns how many of them
// were in use.
func (n *network) reset(routes []route) (broken int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, r := range routes {
		for c := range n.conns {
			if c.local != r.from || c.remote != r.to {
				continue
			}
			if time.Since(n.link(r.from, r.to).used) < linkIdle {
				broken++
			}
			c.in.fail(syscall.ECONNRESET)
			c.out.fail(syscall.ECONNRESET)
		}
	}
	return broken
}

// refuse has dials along the routes refused, as a firewall does that rejects them, until
// by is taken back.
func (n *network) refuse(routes []route, by int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, r := range routes {
		n.link(r.from, r.to).refusals += by
	}
}

// between is every route between one of as and one of bs, both ways.
func between(as, bs []string) (routes []route) {
	for _, a := range as {
		for _, b := range bs {
			if a != b {
				routes = append(routes, route{a, b}, route{b, a})
			}
		}
	}
	return routes
}

// listen is for the machine of addr.
func (n *network) listen(addr string) (net.Listener, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.listeners[addr] != nil {
		return nil, fmt.Errorf("listening on %s: %w", addr, syscall.EADDRINUSE)
	}
	l := &listener{net: n, addr: addr, backlog: make(chan *conn, acceptBacklog), done: make(chan struct{})}
	n.listeners[addr] = l
	return l, nil
}

// dial connects the machine from with whoever listens at addr.
func (n *network) dial(ctx context.Context, from, addr string) (net.Conn, error) {
	to := host(addr)
	if err := n.cross(ctx, from, to); err != nil {
		return nil, err
	}
	n.mu.Lock()
	local, remote := newConns(n, from, to)
	l := n.listeners[addr]
	accepted := false
	if l != nil && n.link(from, to).refusals == 0 {
		select {
		case l.backlog <- remote:
			accepted = true
			n.conns[local], n.conns[remote] = struct{}{}, struct{}{}
		default:
		}
	}
	n.mu.Unlock()
	if err := n.cross(ctx, to, from); err != nil {
		_ = local.Close()
		return nil, err
	}
	if !accepted {
		return nil, fmt.Errorf("dialing %s: %w", addr, syscall.ECONNREFUSED)
	}
	return local, nil
}

// cross returns when one message has gone from one machine to the other.
func (n *network) cross(ctx context.Context, from, to string) error {
	n.mu.Lock()
	l := n.link(from, to)
	l.send()
	delay := n.delay(l)
	n.mu.Unlock()
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	for {
		n.mu.Lock()
		held, changed := l.holds > 0, l.changed
		n.mu.Unlock()
		if !held {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// unplug closes the listener at addr and every connection of its machine. The
// others learn of it by a reset, which a hold delays as it does everything.
func (n *network) unplug(addr string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if l := n.listeners[addr]; l != nil {
		l.closeLocked()
	}
	for c := range n.conns {
		if c.local == host(addr) {
			c.closeLocked(syscall.ECONNRESET)
		}
	}
}

// listener is a bound address.
type listener struct {
	net     *network
	addr    string
	backlog chan *conn
	done    chan struct{}
	closed  bool
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.backlog:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	l.net.mu.Lock()
	defer l.net.mu.Unlock()
	l.closeLocked()
	return nil
}

func (l *listener) closeLocked() {
	if l.closed {
		return
	}
	l.closed = true
	close(l.done)
	delete(l.net.listeners, l.addr)
	for {
		select {
		case c := <-l.backlog:
			c.closeLocked(syscall.ECONNRESET)
		default:
			return
		}
	}
}

func (l *listener) Addr() net.Addr { return address(l.addr) }

type address string

func (address) Network() string  { return "sim" }
func (a address) String() string { return string(a) }
