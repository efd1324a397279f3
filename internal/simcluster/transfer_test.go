package simcluster

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// A leader that can't hand over to a member that hangs hands over to another one,
// and when it leads again it writes.
func TestTransferToAMemberThatHangs(t *testing.T) {
	dir := home(t)
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, dir, newCounts())
		if err := w.form(3); err != nil {
			t.Fatal(err)
		}
		leader := w.leader()
		n := &nemesis{w: w}
		names := n.others(leader)
		hung := between([]string{leader.name}, names[:1])
		w.net.hold(hung)
		if err := transfer(leader, names[0]); err == nil {
			t.Error("leadership was handed to a member that hangs")
		}
		if err := transfer(leader, names[1]); err != nil {
			t.Error(err)
		}
		w.net.release(hung)
		w.recovered()
		if err := transfer(w.leader(), leader.name); err != nil {
			t.Error(err)
		}
		w.recovered()
		w.end()
	})
}

func transfer(m *machine, to string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return m.running().node.TransferLeadership(ctx, to)
}
