package client

import (
	"context"
	"errors"
	"net"
	"net/http"
	"testing"
)

func TestNextAddressIsTriedOnlyWhereItIsSafe(t *testing.T) {
	t.Parallel()
	read := func(c *Client) error { _, err := c.Status(context.Background()); return err }
	write := func(c *Client) error {
		_, err := c.CreateKey(context.Background(), KeyRequest{})
		return err
	}
	tests := []struct {
		name  string
		first func(t *testing.T) string
		call  func(c *Client) error
		moves bool
	}{
		{"a read, nobody there", deadAddr, read, true},
		{"a write, nobody there", deadAddr, write, true},
		{"a read, cut off", hangUp, read, true},
		{"a write, cut off: it may have been taken", hangUp, write, false},
		{"a write, not joined", refusing("NOT_JOINED", 503), write, true},
		{"a write, not ready", refusing("NOT_READY", 503), write, true},
		{"a write, outcome unknown", refusing("OUTCOME_UNKNOWN", 503), write, false},
		{"a write, no leader", refusing("NO_LEADER", 503), write, false},
		{"a read, wrong token", refusing("INVALID_ADMIN_TOKEN", 401), read, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			second := newNode(t, 200, nil, `{}`)
			c := New(Options{Addrs: []string{test.first(t), second.URL}})
			defer c.Close()
			err := test.call(c)
			if moved := second.asked.Load() == 1; moved != test.moves || moved != (err == nil) {
				t.Errorf("moved on: %v, want %v; error is %v", moved, test.moves, err)
			}
		})
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
func TestConnectionThatWasLeft(t *testing.T) {
	t.Parallel()
	first, second := newNode(t, 200, nil, `{}`), newNode(t, 200, nil, `{}`)
	gone := make(chan struct{})
	transport := &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		select {
		case <-gone:
			if "http://"+addr == first.URL {
				return nil, errors.New("connection refused")
			}
		default:
		}
		c, err := new(net.Dialer).DialContext(ctx, network, addr)
		if "http://"+addr == first.URL {
			c = brokenConn{c, gone}
		}
		return c, err
	}}
	defer transport.CloseIdleConnections()
	c := New(Options{Addrs: []string{first.URL, second.URL}, HTTPClient: &http.Client{Transport: transport}})
	for range 2 {
		if _, err := c.Sync(context.Background(), SyncRequest{}); err != nil {
			t.Fatal(err)
		}
		if first.asked.Load() == 1 && second.asked.Load() == 0 {
			close(gone)
		}
	}
	if first.asked.Load() != 1 || second.asked.Load() != 1 {
		t.Errorf("asked %d and %d times, want 1 and 1", first.asked.Load(), second.asked.Load())
	}
}

func refusing(code string, status int) func(t *testing.T) string {
	return func(t *testing.T) string { return newNode(t, status, nil, refusal(code, status)).URL }
}

func TestAddressThatAnsweredIsAskedFirst(t *testing.T) {
	t.Parallel()
	unjoined := newNode(t, 503, nil, refusal("NOT_JOINED", 503))
	member := newNode(t, 200, nil, `{}`)
	c := New(Options{Addrs: []string{unjoined.URL, member.URL}})
	for range 3 {
		if _, err := c.Status(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if unjoined.asked.Load() != 1 || member.asked.Load() != 3 {
		t.Errorf("asked %d and %d times, want 1 and 3", unjoined.asked.Load(), member.asked.Load())
	}
}

func TestAllAddressesAreNamedWhenNoneAnswers(t *testing.T) {
	t.Parallel()
	a, b := deadAddr(t), deadAddr(t)
	_, err := New(Options{Addrs: []string{a, b}}).Status(context.Background())
	want := []string{"http://" + a, "http://" + b}
	var all interface{ Unwrap() []error }
	if !errors.As(err, &all) || len(all.Unwrap()) != 2 {
		t.Fatalf("error is %v", err)
	}
	for i, one := range all.Unwrap() {
		var conn *ConnectionError
		if !errors.As(one, &conn) || conn.Addr != want[i] || conn.Sent {
			t.Errorf("error %d is %v", i, one)
		}
	}
}
