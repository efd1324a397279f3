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

// A clock that two faults hold still goes on from where it stood.
func TestAFrozenClockNeverCatchesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &clock{started: time.Now()}
		c.freeze()
		time.Sleep(time.Second)
		c.freeze()
		time.Sleep(time.Second)
		c.thaw()
		if got := c.Monotonic(); got != 0 {
			t.Errorf("it went on by %v", got)
		}
		time.Sleep(time.Second)
		c.thaw()
		if got := c.Monotonic(); got != time.Second {
			t.Errorf("it went on by %v in a second", got)
		}
	})
}
