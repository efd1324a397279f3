package client

import (
	"context"
	"errors"
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
