package netns

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"time"
)

func TestDisturb(t *testing.T) {
	InHub(t, 2, false, nil, func(t *testing.T, lab *Lab) {
		if err := CanDisturb(); err != nil {
			Unavailable(t, err)
		}
		awaitWhole(t, lab)
		many := Stream{Count: 100, Bytes: 100, Every: time.Millisecond, Within: arrives}
		t.Run("loss", func(t *testing.T) {
			many := many
			many.Within = lost
			disturbed(t, lab, Disturbance{LossPercent: 30}, many, func(f Flow) bool {
				return f.Arrived > 30 && f.Arrived < 95 && f.Overtaken == 0
			})
		})
		t.Run("delay", func(t *testing.T) {
			disturbed(t, lab, Disturbance{Delay: 100 * time.Millisecond}, many, func(f Flow) bool {
				return f.Arrived == f.Sent && f.Median >= 100*time.Millisecond
			})
		})
		t.Run("order", func(t *testing.T) {
			disturbed(t, lab, Disturbance{Jitter: 50 * time.Millisecond}, many, func(f Flow) bool {
				return f.Arrived == f.Sent && f.Overtaken > 5
			})
		})
		t.Run("contents", func(t *testing.T) { passesWhole(t, lab) })
	})
}

// disturbed sends both ways, while links are disturbed and after that.
func disturbed(t *testing.T, lab *Lab, d Disturbance, s Stream, ok func(Flow) bool) {
	t.Helper()
	whole := func(f Flow) bool { return f.Arrived == f.Sent && f.Overtaken == 0 }
	look := func(ok func(Flow) bool) {
		t.Helper()
		for _, way := range [][2]int{{Hub, 0}, {0, 1}} {
			if f := flow(t, lab, way[0], way[1], s); !ok(f) {
				t.Errorf("with %+v, from %d to %d: %+v", d, way[0], way[1], f)
			}
		}
	}
	heal, err := lab.Disturb(t.Context(), self, 0, d)
	must(t, err)
	look(ok)
	must(t, heal())
	s.Within = arrives
	look(whole)
}

// passesWhole has a connection, with its large segments, go through relays that lose
// and reorder.
func passesWhole(t *testing.T, lab *Lab) {
	heal, err := lab.Disturb(t.Context(), self, 0, Disturbance{LossPercent: 2, Jitter: 2 * time.Millisecond})
	must(t, err)
	defer func() { must(t, heal()) }()
	echo := lab.child(t.Context(), 0, self, "echo "+lab.Hosts[0].IP)
	out, err := echo.StdoutPipe()
	must(t, err)
	must(t, echo.Start())
	defer func() { _ = echo.Wait() }()
	var addr string
	_, err = fmt.Fscan(out, &addr)
	must(t, err)
	conn, err := net.Dial("tcp", addr)
	must(t, err)
	sent := make([]byte, 1<<20)
	_, _ = rand.NewChaCha8([32]byte{}).Read(sent)
	go func() { _, _ = conn.Write(sent) }()
	got := make([]byte, len(sent))
	_, err = io.ReadFull(conn, got)
	must(t, errors.Join(err, conn.Close()))
	if !bytes.Equal(got, sent) {
		t.Error("a connection through relays has other bytes than those that were sent")
	}
}
