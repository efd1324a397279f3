package simcluster

import (
	"testing"
	"testing/synctest"
	"time"
)

// What a process was about to reach when it died, it never reaches.
func TestTheDeadReachNobody(t *testing.T) {
	dir := home(t)
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, dir, newCounts())
		if err := w.form(3); err != nil {
			t.Fatal(err)
		}
		dying, other := w.all()[0], w.all()[1]
		p := dying.running()
		held := between([]string{dying.name}, []string{other.name})
		w.net.hold(held)
		dialed := make(chan error, 1)
		go func() {
			c, err := p.dial(t.Context(), other.addr())
			if err == nil {
				_ = c.Close()
			}
			dialed <- err
		}()
		time.Sleep(time.Second)
		dying.crash(100)
		w.net.release(held)
		if err := <-dialed; err == nil {
			t.Error("a dead process is connected")
		}
		if err := dying.start(); err != nil {
			t.Fatal(err)
		}
		w.recovered()
		w.end()
	})
}
