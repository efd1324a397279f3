package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

const testMiB = 1 << 20

// claim is one caller of take.
type claim struct {
	flow  string
	bytes int64
}

// contend has the claims wait, one after another, for room that is all taken. It
// returns in which order they got it, one at a time, once free is called.
func contend(t *testing.T, q *turns, claims []claim) (free func(), order <-chan claim) {
	free, err := q.take(t.Context(), "first", q.room, 1)
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan claim, len(claims))
	for _, c := range claims {
		go func() {
			free, err := q.take(t.Context(), c.flow, q.room, c.bytes)
			if err != nil {
				t.Error(err)
				return
			}
			got <- c
			free()
		}()
		synctest.Wait()
	}
	return free, got
}

// TestFlowsShareByBytes: of flows that all have something waiting, none is ahead of
// another by more than a body and a turn, and those who send little are soon done.
func TestFlowsShareByBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		claims := slices.Concat(
			slices.Repeat([]claim{{"heavy", 16 * testMiB}}, 100),
			slices.Repeat([]claim{{"medium", testMiB}}, 800),
			slices.Repeat([]claim{{"light", 1 << 10}}, 60))
		free, order := contend(t, &turns{room: 1, maxWaitingBytes: 1 << 40}, claims)
		free()
		sent := map[string]int64{}
		for range claims {
			c := <-order
			sent[c.flow] += c.bytes
			if ahead := sent["heavy"] - sent["medium"]; sent["medium"] < 800*testMiB && (ahead > 16*testMiB+2*turnBytes || ahead < -16*testMiB-2*turnBytes) {
				t.Fatalf("%d bytes of the heavy, %d of the medium", sent["heavy"], sent["medium"])
			}
			if sent["light"] < 60<<10 && sent["heavy"]+sent["medium"] > testMiB {
				t.Fatalf("the light has to wait for %v", sent)
			}
		}
		if sent["heavy"] != 1600*testMiB {
			t.Errorf("sent: %v", sent)
		}
	})
}

// TestSmallSyncsBesideLargeOnes: an organization that sends 16 MiB on each of 100
// connections, and again at once, is refused what is too much. Another, with a
// small sync now and then, never is, and waits for what is in flight at most.
func TestSmallSyncsBesideLargeOnes(t *testing.T) {
	const hold = time.Second // until a proposal is applied
	synctest.Test(t, func(t *testing.T) {
		b := newBudget(defaultMaxInFlightBytes, nil)
		load, stop := context.WithCancel(t.Context())
		sent, refused := make(chan int64, 100_000), make(chan error, 100_000)
		for range 100 {
			go func() {
				for load.Err() == nil {
					free, err := b.take(load, "large", 16*testMiB)
					if err != nil {
						refused <- err
						time.Sleep(hold / 10)
						continue
					}
					sent <- 16 * testMiB
					time.Sleep(hold)
					free()
				}
			}()
		}
		for i := range 60 {
			time.Sleep(time.Duration(i) * hold / 60)
			began := time.Now()
			free, err := b.take(t.Context(), "small", 1<<10)
			if err != nil {
				t.Fatal(err)
			}
			if waited := time.Since(began); waited > hold {
				t.Errorf("a small sync waited for %s", waited)
			}
			go func() { time.Sleep(hold); free() }()
		}
		stop()
		synctest.Wait()
		if len(sent) < 100 {
			t.Errorf("%d large bodies were sent", len(sent))
		}
		for range len(refused) {
			if err := <-refused; !errors.Is(err, ErrOverloaded) || class(t, err) != "not applied" {
				t.Errorf("a large one: %v", err)
			}
		}
		time.Sleep(hold)
		synctest.Wait()
		idle(t, &b.turns)
	})
}

// idle checks that all room has come back.
func idle(t *testing.T, q *turns) {
	t.Helper()
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.used != 0 || q.waiting != 0 || q.waitingBytes != 0 || len(q.ring) != 0 {
		t.Errorf("%d are used, %d of %d bytes wait, in %d flows", q.used, q.waiting, q.waitingBytes, len(q.ring))
	}
}

// TestAFullQueueRefusesTheFattest: the last of the flow that has most of it, by
// bytes or by number, and the newcomer where that is of it.
func TestAFullQueueRefusesTheFattest(t *testing.T) {
	many := slices.Repeat([]claim{{"many", 0}}, maxWaiting-1)
	for name, c := range map[string]struct {
		wait    []claim
		comes   claim
		refused string
	}{
		"by bytes":                    {[]claim{{"fat", 400}, {"fat", 500}}, claim{"thin", 200}, "fat 500"},
		"by number":                   {append([]claim{{"fat", 500}}, many...), claim{"thin", 1}, "many 0"},
		"the newcomer":                {[]claim{{"thin", 200}, {"fat", 500}}, claim{"fat", 400}, "fat 400"},
		"the newcomer, alone":         {[]claim{{"fat", 500}}, claim{"fat", 600}, "fat 600"},
		"the newcomer, as fat":        {[]claim{{"fat", 600}}, claim{"thin", 600}, "thin 600"},
		"as many as make enough room": {[]claim{{"fat", 300}, {"fat", 300}, {"fat", 400}}, claim{"thin", 350}, "fat 400"},
		"two for one":                 {[]claim{{"fat", 300}, {"fat", 300}, {"fat", 100}, {"fat", 300}}, claim{"thin", 400}, "fat 300, fat 100"},
	} {
		t.Run(name, func(t *testing.T) {
			q := &turns{room: 1, used: 1, maxWaitingBytes: 1000}
			var waiters []*waiter
			for _, w := range append(c.wait, c.comes) {
				w, _ := q.enter(w.flow, 1, w.bytes)
				waiters = append(waiters, w)
			}
			var refused []string
			for _, w := range slices.Backward(waiters) {
				if w.err != nil {
					refused = append(refused, fmt.Sprint(w.flow.name, " ", w.bytes))
				}
			}
			if got := strings.Join(refused, ", "); got != c.refused {
				t.Errorf("refused: %s, not %s", got, c.refused)
			}
		})
	}
}

func TestWaitsForATurnEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stopping := make(chan struct{})
		q := &turns{room: 10, maxWaitingBytes: 100, stopping: stopping}
		free, err := q.take(t.Context(), "a", 5, 5)
		if err != nil {
			t.Fatal(err)
		}
		ends := func(ctx context.Context, room int64) <-chan error {
			end := make(chan error, 1)
			go func() {
				_, err := q.take(ctx, "a", room, room)
				end <- err
			}()
			synctest.Wait()
			return end
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		large := ends(ctx, 10)
		behind := ends(t.Context(), 5)
		if len(behind) > 0 {
			t.Error("the second passes the first")
		}
		if err := <-ends(t.Context(), 0); err != nil {
			t.Errorf("one without a need: %v", err)
		}
		if err := <-large; !errors.Is(err, ErrOverloaded) || !isContext(err) || class(t, err) != "not applied" {
			t.Errorf("at the deadline: %v", err)
		}
		if err := <-behind; err != nil {
			t.Errorf("the one behind it: %v", err)
		}
		free()
		free()
		if q.used != 5 {
			t.Errorf("%d are used", q.used)
		}
		late := ends(t.Context(), 10)
		close(stopping)
		if err := <-late; !errors.Is(err, ErrStopped) || class(t, err) != "not applied" {
			t.Errorf("at the stop: %v", err)
		}
	})
}

// TestTurnsKeepTheirBounds takes, gives back and gives up at random: the sums are
// those of who waits and who has room, nobody waits where there is room for the
// next, and everybody is decided in the end.
func TestTurnsKeepTheirBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := &turns{room: 1 << 20, maxWaitingBytes: 1 << 20}
		var open, served []*waiter
		sort := func() {
			open = slices.DeleteFunc(open, func(w *waiter) bool {
				select {
				case <-w.decided:
					if w.err == nil {
						served = append(served, w)
					}
					return true
				default:
					return false
				}
			})
		}
		check := func(t *rapid.T) {
			sort()
			var bytes, used int64
			for _, w := range open {
				bytes += w.bytes
			}
			for _, w := range served {
				used += w.room
			}
			if q.waiting != len(open) || q.waitingBytes != bytes || bytes > q.maxWaitingBytes || q.used != used || used > q.room {
				t.Fatalf("%d wait, %d bytes; %d used: it says %d, %d and %d", len(open), bytes, used, q.waiting, q.waitingBytes, q.used)
			}
			if len(open) > 0 && q.used+q.next().room <= q.room {
				t.Fatal("somebody waits beside room")
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"": check,
			"come": func(t *rapid.T) {
				bytes := rapid.Int64Range(1, 1<<20).Draw(t, "bytes")
				w, _ := q.enter(rapid.StringMatching("[a-d]").Draw(t, "flow"), bytes, bytes)
				open = append(open, w)
			},
			"give back": func(t *rapid.T) {
				if len(served) > 0 {
					i := rapid.IntRange(0, len(served)-1).Draw(t, "which")
					q.giveBack(served[i].room)
					served = slices.Delete(served, i, i+1)
				}
			},
			"give up": func(t *rapid.T) {
				if len(open) > 0 {
					q.giveUp(rapid.SampledFrom(open).Draw(t, "who"), ErrOverloaded)
				}
			},
		})
		for check(t); len(served) > 0; check(t) {
			q.giveBack(served[0].room)
			served = served[1:]
		}
		if len(open) > 0 || len(q.ring) > 0 {
			t.Fatalf("%d wait for ever", len(open))
		}
	})
}
