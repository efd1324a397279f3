package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"pipesync/internal/testcluster"
)

var slowClientFaults = []fault{
	{kind: "2,000 slow clients", begin: slowClients},
}

const (
	slowConnections = 2000
	// slowDialers open them.
	slowDialers = 20
	// slowByte is how long a slow client takes for a byte.
	slowByte = 300 * time.Millisecond
	// unreadReplies are asked for by those that read none, who have a buffer of
	// unreadBytes for them.
	unreadReplies, unreadBytes = 20, 4 << 10
)

// slowClients has a crowd of clients at all nodes that send a byte now and then, of a header or
// a body, or read none of the replies that they ask for, or do nothing.
func slowClients(ctx context.Context, n *nemesis) (*broken, error) {
	crowd := &crowd{key: n.probe.key, ended: make(chan struct{})}
	b := &broken{on: n.cluster.Nodes, lasts: maxFaultSeconds * time.Second, heal: crowd.end}
	before := descriptors(n.cluster.Nodes)
	if err := crowd.gather(ctx, n.cluster.Nodes); err != nil {
		return b, errors.Join(err, crowd.end(ctx))
	}
	// A node accepts what the kernel has connected already.
	ctx, cancel := context.WithTimeout(ctx, adminSeconds*time.Second)
	defer cancel()
	_ = testcluster.Await(ctx, "the nodes to accept the slow clients", func(context.Context) error {
		more := descriptors(n.cluster.Nodes) - before
		if more < slowConnections*9/10 {
			return fmt.Errorf("their processes have %d more files open", more)
		}
		b.proof = fmt.Sprintf("the processes have %d more files open", more)
		return nil
	})
	return b, nil
}

// descriptors is how many files, connections among them, processes have open.
func descriptors(nodes []*testcluster.Node) (open int) {
	for _, n := range nodes {
		if n.Running() {
			list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", n.Process().Pid()))
			if err == nil {
				open += len(list)
			}
		}
	}
	return open
}

// crowd is slow clients while they last.
type crowd struct {
	key   string
	ended chan struct{}
	all   sync.WaitGroup
}

// gather opens the connections. Some may fail: a node may be down.
func (c *crowd) gather(ctx context.Context, nodes []*testcluster.Node) error {
	dialer := net.Dialer{Timeout: dialSeconds * time.Second, Control: func(_, _ string, raw syscall.RawConn) (err error) {
		return errors.Join(raw.Control(func(fd uintptr) {
			err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, unreadBytes)
		}), err)
	}}
	var dialing sync.WaitGroup
	for d := range slowDialers {
		dialing.Go(func() {
			for i := d; i < slowConnections; i += slowDialers {
				addr := strings.TrimPrefix(nodes[i%len(nodes)].HTTP, "http://")
				if conn, err := dialer.DialContext(ctx, "tcp", addr); err == nil {
					c.all.Go(func() { c.dawdle(conn, i/len(nodes)) })
				}
			}
		})
	}
	dialing.Wait()
	return ctx.Err()
}

func (c *crowd) end(context.Context) error {
	close(c.ended)
	c.all.Wait()
	return nil
}

// dawdle is what one client does, by its number, until the crowd or the node ends it.
func (c *crowd) dawdle(conn net.Conn, number int) {
	at, rest := "", ""
	switch number % 4 {
	case 0:
		rest = "POST /v1/pipeline/sync HTTP/1.1\r\nHost: node\r\nX-Slow: " + strings.Repeat("x", 1000)
	case 1:
		at = fmt.Sprintf("POST /v1/pipeline/sync HTTP/1.1\r\nHost: node\r\nX-API-Key: %s\r\nContent-Type: application/json\r\nContent-Length: 8000000\r\n\r\n", c.key)
		rest = "{" + strings.Repeat(" ", 1000)
	case 2:
		at = strings.Repeat("GET /metrics HTTP/1.1\r\nHost: node\r\n\r\n", unreadReplies)
	}
	if _, err := conn.Write([]byte(at)); err != nil {
		rest = ""
	}
	// Not all send at the same moment.
	pause := time.NewTimer(rand.N(slowByte))
	defer pause.Stop()
	for {
		select {
		case <-c.ended:
			_ = conn.Close()
			return
		case <-pause.C:
		}
		if rest != "" {
			if _, err := conn.Write([]byte(rest[:1])); err != nil {
				rest = " " // the node has ended it
			}
			rest = rest[1:]
		}
		pause.Reset(slowByte)
	}
}
