package cluster

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// testClock is a clock that goes on only when it is told to.
type testClock struct {
	mu   sync.Mutex
	mono time.Duration
	wall time.Time
}

var testNoon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func newTestClock(ahead time.Duration) *testClock {
	return &testClock{mono: time.Hour, wall: testNoon.Add(ahead)}
}

func (c *testClock) Monotonic() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mono
}

func (c *testClock) Wall() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.wall
}

func (c *testClock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mono, c.wall = c.mono+d, c.wall.Add(d)
}

func (c *testClock) jump(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wall = c.wall.Add(d)
}

// expect is what Wall is ahead of noon.
func (c *Clocks) expect(t *testing.T, when string, want time.Duration) {
	t.Helper()
	if got := c.Wall().Sub(testNoon); got != want {
		t.Errorf("%s: %v after noon, want %v", when, got, want)
	}
}

func TestWallIsTheMedian(t *testing.T) {
	own := newTestClock(0)
	c := NewClocks(own)
	c.expect(t, "alone", 0)
	c.learn("b", testNoon.Add(10*time.Second), own.Monotonic())
	c.expect(t, "of two the mean", 5*time.Second)
	c.learn("c", testNoon.Add(time.Hour), own.Monotonic())
	c.expect(t, "of three the middle one", 10*time.Second)
	if got := c.offsets(); got[""] != -10*time.Second || got["b"] != 0 || got["c"] != time.Hour-10*time.Second {
		t.Errorf("offsets %v", got)
	}
	// The others' clocks go on as time passes, and whatever happens to this one's.
	own.pass(20 * time.Second)
	own.jump(-24 * time.Hour)
	c.expect(t, "after a jump back", 30*time.Second)
	if got := c.offsets()[""]; !skewed(got) {
		t.Errorf("a day off and not skewed: %v", got)
	}
	// What wasn't learnt again is forgotten.
	own.pass(maxClockAge - 20*time.Second)
	c.expect(t, "just not too old", 10*time.Second+maxClockAge)
	own.pass(1)
	c.expect(t, "too old", -24*time.Hour+maxClockAge+1)
	c.learn("b", testNoon, own.Monotonic())
	c.keep(func(id string) bool { return id != "b" })
	c.expect(t, "no member any more", -24*time.Hour+maxClockAge+1)
}

func TestHalfOfTheRoundTripHasPassed(t *testing.T) {
	own := newTestClock(0)
	c := NewClocks(own)
	asked := own.Monotonic()
	own.pass(maxClockRoundTrip)
	c.learn("b", testNoon.Add(time.Minute), asked)
	if got := c.offsets()["b"] - c.offsets()[""]; got != time.Minute-maxClockRoundTrip/2 {
		t.Errorf("b is %v ahead", got)
	}
	own.pass(1)
	c.learn("c", testNoon, asked)
	if _, known := c.offsets()["c"]; known {
		t.Error("an exchange that took too long was believed")
	}
}

// TestAMinorityCantMoveTheMedian: while more than half of the clocks are right,
// every member tells the right time, to the error of the exchange.
func TestAMinorityCantMoveTheMedian(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(1, 9).Draw(t, "members")
		wrong := rapid.IntRange(0, (size-1)/2).Draw(t, "wrong")
		clocks := make([]*testClock, size)
		for i := range clocks {
			ahead := rapid.Int64Range(0, int64(time.Second)).Draw(t, "ahead")
			if i < wrong {
				ahead = rapid.Int64Range(-1e18, 1e18).Draw(t, "far ahead")
			}
			clocks[i] = newTestClock(time.Duration(ahead))
			clocks[i].mono = time.Duration(rapid.Int64Range(0, 1e15).Draw(t, "monotonic"))
		}
		for i, own := range clocks {
			c := NewClocks(own)
			for j, other := range clocks {
				if i != j {
					c.learn(fmt.Sprint(j), other.Wall(), own.Monotonic())
				}
			}
			if got := c.Wall().Sub(testNoon); got < 0 || got > time.Second {
				t.Fatalf("member %d tells %v", i, got)
			}
			if own := c.offsets()[""]; i >= wrong && skewed(own) {
				t.Fatalf("member %d is right, and skewed by %v", i, own)
			}
		}
	})
}
