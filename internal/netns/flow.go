package netns

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"time"
)

const (
	headBytes = 16 // of a datagram: its number, and when it was sent in ns
	maxBytes  = 1400
)

// Stream is what datagrams to send.
type Stream struct {
	Count int
	Bytes int           // of each, 16 to 1400
	Every time.Duration // between two
	// Within is how long the last one may take, at most.
	Within time.Duration
}

// Flow is what has become of a Stream.
type Flow struct {
	Sent, Arrived int
	Overtaken     int           // that came after one which was sent later
	Median        time.Duration // from sending to arrival; 0: nothing arrived
}

// Flow sends datagrams from one host, or the Hub, to another. The command self is run
// there with one more argument, with which it has to call Child.
func (l *Lab) Flow(ctx context.Context, self []string, from, to int, s Stream) (f Flow, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	at := l.child(ctx, to, self, "hear "+l.ip(to))
	heard, err := at.StdoutPipe()
	if err != nil {
		return f, err
	}
	if err := at.Start(); err != nil {
		return f, err
	}
	defer func() { cancel(); _ = at.Wait() }()
	lines := bufio.NewScanner(heard)
	if !lines.Scan() {
		return f, errors.New("hearing datagrams: no address")
	}
	say := l.child(ctx, from, self, fmt.Sprintf("say %s %d %d %d", lines.Text(), s.Count, s.Bytes, s.Every))
	if out, err := say.CombinedOutput(); err != nil {
		return f, fmt.Errorf("sending datagrams: %w: %s", err, out)
	}
	stop := time.AfterFunc(s.Within, cancel)
	defer stop.Stop()
	f.Sent = s.Count
	var took []time.Duration
	last := -1
	for len(took) < s.Count && lines.Scan() {
		var number int
		var late time.Duration
		if _, err := fmt.Sscan(lines.Text(), &number, &late); err != nil {
			return f, fmt.Errorf("hearing datagrams: %w", err)
		}
		took = append(took, late)
		if number < last {
			f.Overtaken++
		}
		last = max(last, number)
	}
	if f.Arrived = len(took); f.Arrived > 0 {
		slices.Sort(took)
		f.Median = took[len(took)/2]
	}
	return f, nil
}

// say sends datagrams, as told by "ADDR COUNT BYTES NS".
func say(arg string, _ io.Writer) error {
	var addr string
	var count, size int
	var every time.Duration
	if _, err := fmt.Sscanf(arg, "%s %d %d %d", &addr, &count, &size, &every); err != nil {
		return err
	}
	if size < headBytes || size > maxBytes {
		return fmt.Errorf("datagrams are of %d bytes, they must be of %d to %d", size, headBytes, maxBytes)
	}
	conn, err := net.Dial("udp", addr)
	if err != nil {
		return err
	}
	datagram := make([]byte, size)
	for i := range count {
		if i > 0 {
			time.Sleep(every)
		}
		binary.BigEndian.PutUint64(datagram, uint64(i))
		binary.BigEndian.PutUint64(datagram[8:], uint64(time.Now().UnixNano()))
		if _, err := conn.Write(datagram); err != nil {
			return err
		}
	}
	return conn.Close()
}

// hear tells the address that it has, and then of each datagram that comes to it its
// number and for how many ns it was under way, until the process is ended.
func hear(ip string, out io.Writer) error {
	conn, err := net.ListenPacket("udp", net.JoinHostPort(ip, "0"))
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(out, conn.LocalAddr()); err != nil {
		return err
	}
	buf := make([]byte, maxBytes)
	for {
		n, _, err := conn.ReadFrom(buf)
		if err != nil {
			return err
		}
		if n < headBytes {
			continue
		}
		number, sent := binary.BigEndian.Uint64(buf), binary.BigEndian.Uint64(buf[8:])
		if _, err := fmt.Fprintln(out, number, time.Now().UnixNano()-int64(sent)); err != nil {
			return err
		}
	}
}
