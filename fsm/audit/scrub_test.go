package audit

import (
	"context"
	"os"
	"testing"
	"time"

	"pipesync/fsm"
)

// scrubAll does what Run does at each member, until all are through.
func (g *group) scrubAll(leader *member) {
	g.t.Helper()
	g.commit(&fsm.Mark{Previous: leader.marks()[len(leader.marks())-1], Scrub: true})
	for _, m := range g.members {
		m.scrub(context.Background(), <-m.queue)
	}
}

// A state that rots shows nowhere but in a scrub.
func TestAScrubFindsRotThatNoEntryTouches(t *testing.T) {
	g := newGroup(t, 3)
	g.commit(newSync("a"))
	g.mark(g.members[0])
	g.scrubAll(g.members[0])
	g.compare()
	for _, m := range g.members {
		if s, verdict, found := m.LastScrub(); !found || verdict != Agrees || s.Index != g.index || s.Rows == 0 || s.Bytes == 0 || len(s.Problems) > 0 {
			t.Errorf("%s: %+v, %s, %v", m.name, s, verdict, found)
		}
	}
	rotten := g.members[1]
	rotten.scrubs[0].Hash = "ff" // as another state would have it
	rotten.save()
	g.compare()
	for _, m := range g.members {
		if (m.Alarm() != nil) != (m == rotten) || !m.Diverged(rotten.name) {
			t.Errorf("%s: alarm %v", m.name, m.Alarm())
		}
	}
	if _, verdict, _ := rotten.LastScrub(); verdict != Diverged {
		t.Errorf("verdict %s", verdict)
	}
	// A restart heals nothing; another's state does.
	rotten.restart()
	g.compare()
	if rotten.Alarm() == nil {
		t.Error("forgotten by a restart")
	}
	rotten.install(g.members[0])
	g.compare()
	if err := rotten.Alarm(); err != nil {
		t.Errorf("after it has got the state of another: %v", err)
	}
	if _, _, found := rotten.LastScrub(); found {
		t.Error("it still has the scrub of the state that is gone")
	}
	g.scrubAll(g.members[0])
	g.compare()
	for _, m := range g.members {
		if m.Alarm() != nil || m.Diverged(rotten.name) {
			t.Errorf("%s, after the next scrub: %v", m.name, m.Alarm())
		}
	}
}

// While one scrub runs and another waits, a third is left out, and its view closed.
func TestScrubsDontPileUp(t *testing.T) {
	g := newGroup(t, 1)
	m := g.members[0]
	for range 3 {
		g.commit(&fsm.Mark{Scrub: true})
	}
	first := <-m.queue
	if first.Applied() != g.index-2 {
		t.Errorf("the first is of entry %d", first.Applied())
	}
	first.Close()
	select {
	case v := <-m.queue:
		t.Errorf("another one of entry %d", v.Applied())
	default:
	}
}

func TestRunEnds(t *testing.T) {
	g := newGroup(t, 1)
	m := g.members[0]
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		m.Run(ctx)
	}()
	g.commit(&fsm.Mark{Scrub: true})
	for found := false; !found; _, _, found = m.LastScrub() {
		time.Sleep(time.Millisecond)
	}
	cancel()
	<-ended
	g.commit(&fsm.Mark{Scrub: true})
	m.Run(ctx) // closes the view that waits, or the state can't be closed
	if len(m.queue) != 0 || len(m.scrubs) > 2 {
		t.Errorf("%d wait, %d scrubs", len(m.queue), len(m.scrubs))
	}
}

func TestPace(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	p := pacer{ctx: ctx, began: time.Now()}
	for range 3 * scrubStep / 1024 {
		if err := p.pace(1024); err != nil {
			t.Fatal(err)
		}
	}
	if took := time.Since(p.began); took < 3*scrubPause {
		t.Errorf("3 MiB took %v, at most %d bytes in a second", took, scrubBytesPerSecond)
	}
	cancel()
	if err := p.pace(100 * scrubStep); err == nil {
		t.Error("it doesn't end")
	}
}

func TestAFileThatCantBeReadIsForgotten(t *testing.T) {
	m := newMember(t, "n1")
	for _, content := range []string{"", "{}", "[", `[{},{},{}]`} {
		check(t, os.WriteFile(m.file, []byte(content), 0o600))
		m.restart()
		if _, _, found := m.LastScrub(); found {
			t.Errorf("%q is a scrub", content)
		}
	}
	m.scrubs = []Scrub{{Index: 7, Hash: "ab", FinishedAt: time.Unix(5, 0).UTC(), Problems: []string{"p"}}}
	m.save()
	m.restart()
	if s, verdict, found := m.LastScrub(); !found || verdict != Unknown || s.Index != 7 || s.Problems[0] != "p" {
		t.Errorf("%+v, %s, %v", s, verdict, found)
	}
}
