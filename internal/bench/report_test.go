package main

import (
	"strings"
	"testing"

	"pipesync/internal/bench/load"
)

// figures are of a job of so many records that took a second.
func figures(records int, p50 float64) load.Figures {
	return load.Figures{Seconds: 1, Requests: 1, Records: records, P50: p50, P99: 2 * p50}
}

func workNamed(t *testing.T, name string) work {
	t.Helper()
	for _, w := range works {
		if w.name == name {
			return w
		}
	}
	t.Fatalf("there is no work %q", name)
	return work{}
}

// measured is a report of a few works in which Pipesync has the rate of inserts.
func measured(t *testing.T, inserted int) *report {
	t.Helper()
	one, leader, singles := workNamed(t, inserts), workNamed(t, insertsToTheLeader), workNamed(t, "1 operation, 1 client")
	return newReport(options{existing: 100_000, repetitions: 3}, machine{}, []*result{
		{leader, pipesyncName, []load.Figures{figures(1000, 10)}},
		{one, pipesyncName, []load.Figures{figures(inserted*2, 25), figures(inserted/2, 15), figures(inserted, 20)}},
		{one, ceilingName, []load.Figures{figures(2000, 5)}},
		{one, etcdName, []load.Figures{figures(250, 40)}},
		{singles, pipesyncName, []load.Figures{figures(500, 2)}},
		{singles, ceilingName, []load.Figures{figures(1000, 1)}},
	}, []fact{atMost(3, "restart", 4, "s"), {Name: "refresh", Value: 35, Unit: "s"}})
}

func TestMedianOfAnEvenNumber(t *testing.T) {
	for _, c := range []struct {
		sorted []float64
		want   float64
	}{
		{[]float64{3}, 3}, {[]float64{3, 5}, 4}, {[]float64{1, 3, 50}, 3}, {[]float64{1, 3, 5, 50}, 4},
	} {
		if got := median(c.sorted); got != c.want {
			t.Errorf("median of %v: %v, want %v", c.sorted, got, c.want)
		}
	}
}

// TestWorksTakeTurns has three works in each of their six orders, and two to and fro alike.
func TestWorksTakeTurns(t *testing.T) {
	for n, orders := range map[int]int{1: 1, 2: 2, 3: 6} {
		seen := map[string]int{}
		for repetition := range 12 {
			var names []string
			for _, w := range inTurn(works[:n], repetition) {
				names = append(names, w.name)
			}
			seen[strings.Join(names, "; ")]++
		}
		for order, times := range seen {
			if len(seen) != orders || times != 12/orders {
				t.Errorf("of %d works, %q %d times, and %d other orders", n, order, times, len(seen)-1)
			}
		}
	}
}

func TestReportHasMediansAndRatios(t *testing.T) {
	r := measured(t, 800)
	if len(r.Works) != 3 {
		t.Fatalf("works %+v", r.Works)
	}
	ours := r.Works[1]
	if want := (rate{Median: 800, Lowest: 400, Highest: 1600, P50: 20, P99: 40}); ours.Rates[pipesyncName] != want {
		t.Errorf("rate %+v, want %+v", ours.Rates[pipesyncName], want)
	}
	want := []ratio{
		{To: ceilingName, Is: 0.4, AtLeast: 0.6},
		{To: etcdName, Is: 3.2, AtLeast: 2},
		{To: insertsToTheLeader, Latency: true, Is: 0.5, AtLeast: 1 / 1.1},
	}
	for i := range want {
		if len(ours.Ratios) != len(want) || ours.Ratios[i] != want[i] {
			t.Fatalf("ratios %+v, want %+v", ours.Ratios, want)
		}
	}
	if got, want := r.Works[2].Ratios, (ratio{To: ceilingName, Latency: true, Is: 0.5, AtLeast: 1 / 1.5}); len(got) != 1 || got[0] != want {
		t.Errorf("ratios %+v, want %+v", got, want)
	}
}

func TestTablesTellWhatIsMissed(t *testing.T) {
	r := measured(t, 800)
	var printed strings.Builder
	if err := r.print(&printed); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{printed.String(), r.page()} {
		for _, want := range []string{"≥ 0.60 missed", "≥ 2.00", "0.50 (p50)", "≤ 3 missed", "35 s", "400–1600"} {
			if !strings.Contains(text, want) {
				t.Errorf("nothing of %q in\n%s", want, text)
			}
		}
		if strings.Contains(text, "2.00 missed") {
			t.Errorf("a target that is met is told as missed in\n%s", text)
		}
	}
}

func TestCheckFailsWhereARatioDropsByMoreThanAQuarter(t *testing.T) {
	stored := measured(t, 1000)
	for inserted, dropped := range map[int]bool{2000: false, 1000: false, 752: false, 740: true, 100: true} {
		err := measured(t, inserted).against(stored)
		if (err != nil) != dropped {
			t.Errorf("%d by 1000: %v", inserted, err)
		}
		if dropped && !strings.Contains(err.Error(), inserts+", to ceiling") {
			t.Errorf("%v doesn't tell what has dropped", err)
		}
	}
	if err := (&report{}).against(stored); err == nil {
		t.Error("a run without a work has passed")
	}
}

func TestCheckWantsTheSameRun(t *testing.T) {
	stored := measured(t, 1000)
	if err := stored.comparable(options{existing: 100_000}); err != nil {
		t.Error(err)
	}
	for _, o := range []options{{existing: 1_000_000}, {existing: 100_000, tls: true}} {
		if err := stored.comparable(o); err == nil {
			t.Errorf("%+v is comparable", o)
		}
	}
}

func TestEachWorkIsHeldAgainstAnother(t *testing.T) {
	all := map[string]bool{}
	for _, w := range works {
		if all[w.name] {
			t.Errorf("%s is there twice", w.name)
		}
		all[w.name] = true
	}
	for _, w := range works {
		for _, a := range w.peer {
			if a.to == "" && (!all[a.name] || a.name == w.name) {
				t.Errorf("%s is held against %q, which is no other work", w.name, a.name)
			}
		}
	}
}

func TestRepetitionsAreAddedToTheirWork(t *testing.T) {
	one, other := workNamed(t, inserts), workNamed(t, insertsToTheLeader)
	var all []*result
	for i := 1; i <= 2; i++ {
		all = add(all, one, pipesyncName, figures(i, 1))
		all = add(all, one, etcdName, figures(10*i, 1))
		all = add(all, other, pipesyncName, figures(100*i, 1))
	}
	if len(all) != 3 {
		t.Fatalf("%d results", len(all))
	}
	for i, first := range []int{1, 10, 100} {
		if r := all[i].repetitions; len(r) != 2 || r[0].Records != first || r[1].Records != 2*first {
			t.Errorf("repetitions %+v", r)
		}
	}
}
