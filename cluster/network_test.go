package cluster

import (
	"context"
	"errors"
	"net"
	"sync"
)

// links are the connections that one node dials. They can be cut, so that
// dials fail and open connections break, or held: what the other side answers
// arrives, but is not read before release.
type links struct {
	mu    sync.Mutex
	cut   map[string]bool // by address; "" cuts all
	conns map[*link]struct{}
	hold  chan struct{} // not nil: reads wait for its end
}

type link struct {
	net.Conn
	of   *links
	addr string
}

func newLinks() *links {
	return &links{cut: make(map[string]bool), conns: make(map[*link]struct{})}
}

func (l *links) dial(ctx context.Context, addr string) (net.Conn, error) {
	l.mu.Lock()
	cut := l.cut[addr] || l.cut[""]
	l.mu.Unlock()
	if cut {
		return nil, errors.New("the link is cut")
	}
	c, err := dialTCP(ctx, addr)
	if err != nil {
		return nil, err
	}
	conn := &link{Conn: c, of: l, addr: addr}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns[conn] = struct{}{}
	return conn, nil
}

func (c *link) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.of.mu.Lock()
	hold := c.of.hold
	c.of.mu.Unlock()
	if hold != nil {
		<-hold
	}
	return n, err
}

func (c *link) Close() error {
	c.of.mu.Lock()
	delete(c.of.conns, c)
	c.of.mu.Unlock()
	return c.Conn.Close()
}

// sever cuts the links to addr, or all if it is empty.
func (l *links) sever(addr string) {
	l.mu.Lock()
	l.cut[addr] = true
	var victims []*link
	for c := range l.conns {
		if addr == "" || c.addr == addr {
			victims = append(victims, c)
		}
	}
	l.mu.Unlock()
	for _, c := range victims {
		_ = c.Close()
	}
}

func (l *links) heal() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.cut)
}

// holdReads makes every read wait until release is called.
func (l *links) holdReads() (release func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	hold := make(chan struct{})
	l.hold = hold
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.hold == hold {
			l.hold = nil
			close(hold)
		}
	}
}
