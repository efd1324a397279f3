package upkeep

import (
	"context"
	"testing"
	"time"

	"pipesync/fsm"
)

// TestMarksAreDue: after so many entries, or after so long if there were any.
func TestMarksAreDue(t *testing.T) {
	c := newCollecting(t)
	m := &marker{Leader: c.Leader}
	step := func(when string, want int) {
		t.Helper()
		before := c.proposed
		if err := m.step(context.Background()); err != nil {
			t.Fatal(err)
		}
		if got := c.proposed - before; got != want {
			t.Errorf("%s: %d marks", when, got)
		}
	}
	entry := func() { c.command(&fsm.StoreCreate{Org: "org", Store: "vs"}) }
	step("a few entries", 0)
	c.now += int64(DefaultPace.Mark) - 1
	step("just not long after", 0)
	c.now++
	step("long after", 1)
	step("at once", 0)
	c.now += int64(time.Hour)
	step("nothing came since", 0)
	entry()
	step("long after the mark, but seen only since", 1)
	for range DefaultPace.MarkEntries - 1 {
		entry()
	}
	step("just not enough", 0)
	entry()
	step("enough", 1)
	entry()
	c.now += int64(DefaultPace.Mark)
	c.leads = false
	step("not the leader", 0)
	c.leads = true
	step("the leader again, since now", 0)
	c.now += int64(DefaultPace.Mark)
	step("for long enough", 1)
	view, err := c.state.View()
	if err != nil {
		t.Fatal(err)
	}
	defer view.Close()
	marks, err := view.Marks()
	if err != nil || len(marks.Last) != 4 {
		t.Errorf("marks %+v, %v", marks, err)
	}
}

// TestScrubsAreDue once a day of cluster time, whether or not anything came.
func TestScrubsAreDue(t *testing.T) {
	c := newCollecting(t)
	m := &marker{Leader: c.Leader}
	for day := range int64(3) {
		for _, at := range []int64{int64(DefaultPace.Scrub)*(day+1) - 1, int64(DefaultPace.Scrub) * (day + 1)} {
			c.now = at
			if err := m.step(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		view, err := c.state.View()
		if err != nil {
			t.Fatal(err)
		}
		marks, err := view.Marks()
		view.Close()
		if err != nil || marks.ScrubAt != int64(DefaultPace.Scrub)*(day+1) || marks.ScrubIndex != c.index {
			t.Errorf("day %d: %+v, %v", day, marks, err)
		}
	}
}

// Each mark tells what its proposer had noted at the one before.
func TestMarksTellTheOneBefore(t *testing.T) {
	c := newCollecting(t)
	m := &marker{Leader: c.Leader}
	var marks []*fsm.Mark
	m.Propose = func(_ context.Context, body []byte) error {
		cmd, err := fsm.Decode(body)
		if err != nil {
			t.Fatal(err)
		}
		marks = append(marks, cmd.(*fsm.Mark))
		c.apply(body)
		return nil
	}
	for range 2 {
		if err := m.step(context.Background()); err != nil {
			t.Fatal(err)
		}
		c.now += int64(DefaultPace.Mark)
		if err := m.step(context.Background()); err != nil {
			t.Fatal(err)
		}
		c.command(&fsm.StoreCreate{Org: "org", Store: "vs"})
	}
	if len(marks) != 2 || marks[0].Previous.Index != 0 || marks[1].Previous.Index == 0 || marks[1].Previous.Chain == 0 {
		t.Errorf("marks %+v", marks)
	}
}
