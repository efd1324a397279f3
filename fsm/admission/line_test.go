package admission

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// window is an applied state reduced to what a line asks it: how many are counted.
type window struct {
	limit   uint32
	applied atomic.Uint32
}

var lineKey = ticket{key: "key_a"}

var refused = []byte("refused")

func (w *window) judge() ([]byte, room, error) {
	applied := w.applied.Load()
	if applied >= w.limit {
		return refused, room{}, nil
	}
	return nil, room{window: w.limit - applied, bytes: math.MaxUint64, key: math.MaxUint32}, nil
}

// queue sends n callers into l, one after the other, and has all of them wait. What
// becomes of caller i is told to told[i].
func queue(ctx context.Context, t *testing.T, l *line, w *window, n int) (order func() []int, told []string) {
	t.Helper()
	var mu sync.Mutex
	var ordered []int
	told = make([]string, n)
	for i := range n {
		go func() {
			refusal, err := l.pass(ctx, nil, lineKey, w.judge)
			mu.Lock()
			defer mu.Unlock()
			ordered = append(ordered, i)
			switch {
			case err != nil:
				told[i] = "error"
			case refusal != nil:
				told[i] = "refused"
			default:
				told[i] = "admitted"
			}
		}()
		synctest.Wait()
	}
	if len(l.waiters) != n {
		t.Fatalf("%d wait, want %d", len(l.waiters), n)
	}
	return func() []int {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(ordered)
	}, told
}

func fill(t *testing.T, l *line, w *window) {
	t.Helper()
	for range w.limit {
		if refusal, err := l.pass(t.Context(), nil, lineKey, w.judge); refusal != nil || err != nil {
			t.Fatalf("below the limit: %q, %v", refusal, err)
		}
	}
}

func count(told []string, what string) int {
	n := 0
	for _, s := range told {
		if s == what {
			n++
		}
	}
	return n
}

func TestOneComesInForEachThatFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, w := &line{}, &window{limit: 3}
		fill(t, l, w)
		order, told := queue(t.Context(), t, l, w, 5)
		for i := range 5 {
			l.release(lineKey) // without having been applied
			synctest.Wait()
			if got := order(); len(got) != i+1 || got[i] != i {
				t.Fatalf("after %d releases these passed: %v", i+1, got)
			}
		}
		if count(told, "admitted") != 5 || l.inFlight != 3 || len(l.waiters) != 0 {
			t.Errorf("%v, %d in flight, %d waiting", told, l.inFlight, len(l.waiters))
		}
	})
}

func TestNoneIsRefusedBeforeTheAppliedStateSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, w := &line{}, &window{limit: 3}
		fill(t, l, w)
		order, told := queue(t.Context(), t, l, w, 4)
		for i := range w.limit {
			if got := order(); len(got) != 0 {
				t.Fatalf("with %d of %d applied these were told: %v", i, w.limit, told)
			}
			w.applied.Add(1)
			l.release(lineKey)
			synctest.Wait()
		}
		if count(told, "refused") != 4 || !slices.Equal(order(), []int{0, 1, 2, 3}) {
			t.Errorf("%v in order %v", told, order())
		}
	})
}

func TestAnArrivalNeverOvertakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, w := &line{}, &window{limit: 2}
		fill(t, l, w)
		order, told := queue(t.Context(), t, l, w, 2)
		// Room for one appears unannounced; a newcomer must not take it.
		w.limit = 3
		late := make(chan error, 1)
		go func() {
			_, err := l.pass(t.Context(), nil, lineKey, w.judge)
			late <- err
		}()
		synctest.Wait()
		if len(l.waiters) != 3 || len(order()) != 0 {
			t.Fatalf("%d wait; told: %v", len(l.waiters), told)
		}
		l.release(lineKey) // in flight 1 of 3: room for two
		synctest.Wait()
		if !slices.Equal(order(), []int{0, 1}) || len(l.waiters) != 1 {
			t.Fatalf("passed: %v, waiting: %d", order(), len(l.waiters))
		}
		l.release(lineKey)
		if err := <-late; err != nil {
			t.Fatal(err)
		}
	})
}

// TestOfAKeyAsManyAreInFlightAsMayBeRefused: others of the organization aren't held up.
func TestOfAKeyAsManyAreInFlightAsMayBeRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, left := &line{}, uint32(2)
		judge := func() ([]byte, room, error) {
			return nil, room{window: math.MaxUint32, bytes: math.MaxUint64, key: left}, nil
		}
		pass := func(key string) (passed chan error) {
			passed = make(chan error, 1)
			go func() {
				_, err := l.pass(t.Context(), nil, ticket{key: key}, judge)
				passed <- err
			}()
			synctest.Wait()
			return passed
		}
		for _, key := range []string{"one", "one", "other", "other"} {
			if err := <-pass(key); err != nil {
				t.Fatal(err)
			}
		}
		third := pass("one")
		l.release(ticket{key: "other"})
		synctest.Wait()
		if len(third) != 0 {
			t.Fatal("a third was admitted beside two that may both be refused")
		}
		left = 1 // one of them was
		l.release(ticket{key: "one"})
		synctest.Wait()
		if len(third) != 0 {
			t.Fatal("admitted beside one, with one left")
		}
		l.release(ticket{key: "one"})
		if err := <-third; err != nil {
			t.Fatal(err)
		}
		l.release(ticket{key: "one"})
		l.release(ticket{key: "other"})
		if l.inFlight != 0 || len(l.byKey) != 0 {
			t.Errorf("%d in flight, by key %v", l.inFlight, l.byKey)
		}
	})
}

// TestBytesInFlightAreHeldAgainstTheRoom: a smaller one doesn't overtake.
func TestBytesInFlightAreHeldAgainstTheRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, left := &line{}, uint64(100)
		pass := func(bytes uint64) (passed chan error) {
			passed = make(chan error, 1)
			go func() {
				_, err := l.pass(t.Context(), nil, ticket{bytes: bytes}, func() ([]byte, room, error) {
					return nil, room{window: math.MaxUint32, bytes: left, key: math.MaxUint32}, nil
				})
				passed <- err
			}()
			synctest.Wait()
			return passed
		}
		for _, bytes := range []uint64{60, 40} {
			if err := <-pass(bytes); err != nil {
				t.Fatal(err)
			}
		}
		first, second := pass(50), pass(1)
		l.release(ticket{bytes: 40}) // without having been applied
		synctest.Wait()
		if len(first)+len(second) != 0 {
			t.Fatal("admitted 50 beside 60, with room for 100")
		}
		left = 51 // the other was applied
		l.release(ticket{bytes: 60})
		if err := errors.Join(<-first, <-second); err != nil {
			t.Fatal(err)
		}
		l.release(ticket{bytes: 50})
		l.release(ticket{bytes: 1})
		if l.inFlight != 0 || l.bytes != 0 {
			t.Errorf("%d in flight, of %d bytes", l.inFlight, l.bytes)
		}
	})
}

func TestAFullWindowRefusesAtOnceEvenBehindOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, w := &line{}, &window{limit: 1}
		fill(t, l, w)
		order, _ := queue(t.Context(), t, l, w, 1)
		w.applied.Add(1)
		if refusal, err := l.pass(t.Context(), nil, lineKey, w.judge); refusal == nil || err != nil {
			t.Errorf("got %q, %v", refusal, err)
		}
		l.release(lineKey)
		synctest.Wait()
		if len(order()) != 1 {
			t.Error("the one who waited was not told")
		}
	})
}

// TestGivingUp cancels waiters in every place of the line: those behind still pass.
func TestGivingUp(t *testing.T) {
	for place := range 3 {
		t.Run(fmt.Sprintf("place %d", place), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, w := &line{}, &window{limit: 1}
				fill(t, l, w)
				before, _ := queue(t.Context(), t, l, w, place)
				ctx, cancel := context.WithCancel(t.Context())
				left := make(chan error, 1)
				go func() {
					_, err := l.pass(ctx, nil, lineKey, w.judge)
					left <- err
				}()
				synctest.Wait()
				after := make(chan error, 1)
				go func() {
					_, err := l.pass(t.Context(), nil, lineKey, w.judge)
					after <- err
				}()
				synctest.Wait()
				cancel()
				if err := <-left; !errors.Is(err, context.Canceled) {
					t.Fatalf("the one who gave up got %v", err)
				}
				synctest.Wait()
				for i := range place {
					l.release(lineKey)
					synctest.Wait()
					if len(before()) != i+1 {
						t.Fatalf("after %d releases %v of those ahead passed", i+1, before())
					}
				}
				l.release(lineKey)
				if err := <-after; err != nil {
					t.Fatal(err)
				}
				if l.inFlight != 1 || len(l.waiters) != 0 {
					t.Errorf("%d in flight, %d waiting", l.inFlight, len(l.waiters))
				}
			})
		})
	}
}

// TestGivingUpPassesTheWakeUpOn covers the race in which the first in line is woken and
// cancelled at once: whichever it sees, the one behind must not be left asleep.
func TestGivingUpPassesTheWakeUpOn(t *testing.T) {
	for range 200 {
		synctest.Test(t, func(t *testing.T) {
			l, w := &line{}, &window{limit: 1}
			fill(t, l, w)
			ctx, cancel := context.WithCancel(t.Context())
			var group sync.WaitGroup
			pass := func(ctx context.Context) {
				group.Go(func() {
					if _, err := l.pass(ctx, nil, lineKey, w.judge); err == nil {
						l.release(lineKey)
					}
				})
				synctest.Wait()
			}
			pass(ctx)
			pass(t.Context())
			l.release(lineKey)
			cancel()
			group.Wait() // synctest reports a deadlock if the second one sleeps on
			if l.inFlight != 0 || len(l.waiters) != 0 {
				t.Errorf("%d in flight, %d waiting", l.inFlight, len(l.waiters))
			}
		})
	}
}

func TestTheLineIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, w := &line{}, &window{limit: 1}
		fill(t, l, w)
		ctx, cancel := context.WithCancel(t.Context())
		_, told := queue(ctx, t, l, w, maxWaitersPerOrganization)
		if _, err := l.pass(t.Context(), nil, lineKey, w.judge); !errors.Is(err, ErrBusy) {
			t.Errorf("one more got %v", err)
		}
		cancel()
		synctest.Wait()
		if n := count(told, "error"); n != maxWaitersPerOrganization || len(l.waiters) != 0 {
			t.Errorf("%d gave up, %d wait", n, len(l.waiters))
		}
	})
}

func TestTheEndOfATermEndsTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, w := &line{}, &window{limit: 1}
		fill(t, l, w)
		ended, got := make(chan struct{}), make(chan error, 1)
		go func() {
			_, err := l.pass(t.Context(), ended, lineKey, w.judge)
			got <- err
		}()
		synctest.Wait()
		close(ended)
		if err := <-got; !errors.Is(err, ErrTerm) {
			t.Errorf("got %v", err)
		}
	})
}

// TestWithNoneInFlightNobodyWaits: nobody would ever wake the one who did.
func TestWithNoneInFlightNobodyWaits(t *testing.T) {
	l := &line{}
	refusal, err := l.pass(t.Context(), nil, lineKey, func() ([]byte, room, error) { return nil, room{}, nil })
	if refusal != nil || err != nil || l.inFlight != 1 {
		t.Errorf("got %q, %v, %d in flight", refusal, err, l.inFlight)
	}
}

func TestErrorsTellTheirClass(t *testing.T) {
	for _, err := range []error{ErrBusy, ErrTerm, ErrState} {
		var class interface {
			NotApplied() bool
			Overloaded() bool
		}
		if !errors.As(fmt.Errorf("admitting: %w", err), &class) || !class.NotApplied() || class.Overloaded() != errors.Is(err, ErrBusy) {
			t.Errorf("%v: %+v", err, class)
		}
	}
}

func TestAFailureToReadTheStateIsTold(t *testing.T) {
	l := &line{}
	broken := errors.New("broken")
	_, err := l.pass(t.Context(), nil, lineKey, func() ([]byte, room, error) { return nil, room{}, broken })
	if !errors.Is(err, broken) || l.inFlight != 0 {
		t.Errorf("got %v, %d in flight", err, l.inFlight)
	}
}

// TestApplyNeverHasToRefuse runs many callers against a window that counts each as it is
// applied, in any order, and some of which fail: the window is filled exactly, and no
// caller is let through in vain.
func TestApplyNeverHasToRefuse(t *testing.T) {
	l, w := &line{}, &window{limit: 100}
	var applied sync.Mutex
	var group sync.WaitGroup
	var admitted, turnedAway atomic.Int64
	for i := range 400 {
		group.Go(func() {
			refusal, err := l.pass(t.Context(), nil, lineKey, w.judge)
			if err != nil {
				t.Error(err)
				return
			}
			if refusal != nil {
				turnedAway.Add(1)
				return
			}
			defer l.release(lineKey)
			if i%5 == 0 {
				return // failed on its way to the log
			}
			applied.Lock()
			defer applied.Unlock()
			if w.applied.Load() == w.limit {
				t.Error("let through although the window was full")
				return
			}
			w.applied.Add(1)
			admitted.Add(1)
		})
	}
	group.Wait()
	if admitted.Load() != 100 || l.inFlight != 0 || len(l.waiters) != 0 {
		t.Errorf("%d admitted, %d turned away, %d in flight", admitted.Load(), turnedAway.Load(), l.inFlight)
	}
}
