package simcluster

import (
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// maxOnTheWay bounds the bytes of one direction of a connection that have been
// written and not read: who writes more waits.
const maxOnTheWay = 1 << 20

// conn is one end of a connection, a net.Conn.
type conn struct {
	net           *network
	local, remote string // machines
	in, out       *pipe
	closed        bool
	reading       deadline
	writing       deadline
}

// pipe is one direction: chunks in their order, each with the moment at which it
// has arrived.
type pipe struct {
	net    *network
	link   *link
	wake   *sync.Cond // of the network's mutex; at every change
	chunks []chunk
	bytes  int
	err    error // of every read and write from now on, whatever is on the way
	gone   bool  // the reader has closed: what is written is lost
}

// chunk is data, or the error that ends the stream.
type chunk struct {
	at   time.Time
	data []byte
	err  error
}

// deadline has passed, or will.
type deadline struct {
	passed bool
	timer  *time.Timer
}

// newConns needs the network's mutex.
func newConns(n *network, from, to string) (local, remote *conn) {
	there, back := newPipe(n, n.link(from, to)), newPipe(n, n.link(to, from))
	return &conn{net: n, local: from, remote: to, in: back, out: there},
		&conn{net: n, local: to, remote: from, in: there, out: back}
}

func newPipe(n *network, l *link) *pipe { return &pipe{net: n, link: l, wake: sync.NewCond(&n.mu)} }

// put sends a chunk behind those that are on the way.
func (p *pipe) put(c chunk) {
	p.link.send()
	if p.gone {
		return
	}
	delay := p.net.delay(p.link)
	c.at = time.Now().Add(delay)
	if last := len(p.chunks) - 1; last >= 0 && c.at.Before(p.chunks[last].at) {
		c.at = p.chunks[last].at
	}
	p.chunks = append(p.chunks, c)
	p.bytes += len(c.data)
	time.AfterFunc(time.Until(c.at), p.wakeUp)
}

func (p *pipe) wakeUp() {
	p.net.mu.Lock()
	defer p.net.mu.Unlock()
	p.wake.Broadcast()
}

// arrived returns the first chunk, if it is there.
func (p *pipe) arrived() *chunk {
	if len(p.chunks) == 0 || p.link.holds > 0 || p.chunks[0].at.After(time.Now()) {
		return nil
	}
	return &p.chunks[0]
}

func (p *pipe) fail(err error) {
	p.err = err
	p.chunks, p.bytes = nil, 0
	p.wake.Broadcast()
}

func (c *conn) Read(b []byte) (int, error) {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	for {
		switch {
		case c.closed:
			return 0, net.ErrClosed
		case c.in.err != nil:
			return 0, c.in.err
		case c.reading.passed:
			return 0, os.ErrDeadlineExceeded
		}
		if first := c.in.arrived(); first != nil {
			return c.in.take(first, b)
		}
		c.in.wake.Wait()
	}
}

// take reads from the first chunk.
func (p *pipe) take(first *chunk, b []byte) (int, error) {
	if first.err != nil {
		p.err = first.err
		return 0, p.err
	}
	n := copy(b, first.data)
	p.bytes -= n
	if first.data = first.data[n:]; len(first.data) == 0 {
		p.chunks = p.chunks[1:]
	}
	p.wake.Broadcast()
	return n, nil
}

// Write copies b. What is written to an end that has been closed is lost.
func (c *conn) Write(b []byte) (int, error) {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	for {
		switch {
		case c.closed:
			return 0, net.ErrClosed
		case c.out.err != nil:
			return 0, c.out.err
		case c.writing.passed:
			return 0, os.ErrDeadlineExceeded
		case c.out.bytes < maxOnTheWay:
			c.out.put(chunk{data: append([]byte(nil), b...)})
			return len(b), nil
		}
		c.out.wake.Wait()
	}
}

func (c *conn) Close() error {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	c.closeLocked(io.EOF)
	return nil
}

// closeLocked ends the connection; the other side reads farewell at its end.
func (c *conn) closeLocked(farewell error) {
	if c.closed {
		return
	}
	c.closed = true
	c.reading.stop()
	c.writing.stop()
	delete(c.net.conns, c)
	if c.out.err == nil {
		c.out.put(chunk{err: farewell})
	}
	c.in.gone, c.in.chunks, c.in.bytes = true, nil, 0
	c.in.wake.Broadcast()
	c.out.wake.Broadcast()
}

func (c *conn) LocalAddr() net.Addr  { return address(c.local) }
func (c *conn) RemoteAddr() net.Addr { return address(c.remote) }

func (c *conn) SetDeadline(t time.Time) error {
	_ = c.SetReadDeadline(t)
	return c.SetWriteDeadline(t)
}

func (c *conn) SetReadDeadline(t time.Time) error  { return c.set(&c.reading, c.in, t) }
func (c *conn) SetWriteDeadline(t time.Time) error { return c.set(&c.writing, c.out, t) }

func (c *conn) set(d *deadline, p *pipe, t time.Time) error {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	d.stop()
	d.passed = false
	if t.IsZero() || c.closed {
		return nil
	}
	left := time.Until(t)
	if left <= 0 {
		d.passed = true
		p.wake.Broadcast()
		return nil
	}
	var timer *time.Timer
	timer = time.AfterFunc(left, func() {
		c.net.mu.Lock()
		defer c.net.mu.Unlock()
		if d.timer == timer { // and not a later one
			d.passed = true
			p.wake.Broadcast()
		}
	})
	d.timer = timer
	return nil
}

func (d *deadline) stop() {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
}
