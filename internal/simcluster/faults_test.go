package simcluster

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"pipesync/cluster"
)

// pauseLeader holds the leader still, for longer than an election takes or not, as
// if its process had been stopped: what others have sent it waits to be read, and
// what it has sent arrives. It is in the middle of a write, and is asked to read.
func (n *nemesis) pauseLeader() func() bool {
	m := n.w.leader()
	if m == nil {
		return nil
	}
	in, out := directions(m.name, n.others(m))
	n.w.net.hold(in)
	time.Sleep(time.Duration(n.w.rng.Int64N(int64(heartbeat))))
	if !m.pause(n.w.rng.IntN(2) == 0) {
		n.w.net.release(in)
		return nil
	}
	n.w.net.hold(out)
	c := &client{w: n.w, name: fmt.Sprintf("n%d", n.w.counts.next.Add(1)), rng: rand.New(rand.NewPCG(n.w.rng.Uint64(), 4)), at: m}
	n.w.background.Go(func() { c.sync(context.Background()) })
	reader := &client{w: n.w, rng: rand.New(rand.NewPCG(n.w.rng.Uint64(), 5)), at: m}
	n.w.background.Go(func() {
		time.Sleep(pauseTime)
		for range 3 {
			reader.read(context.Background())
		}
	})
	early := n.w.rng.IntN(2) == 0
	return func() bool {
		if early {
			m.resume()
			time.Sleep(time.Duration(n.w.rng.Int64N(int64(baseDelay))))
		}
		n.w.net.release(slices.Concat(in, out))
		if !early {
			m.resume()
		}
		return false // it counts only if another one leads
	}
}

const (
	// heartbeat is how long a leader waits between two of them at most.
	heartbeat = 200 * time.Millisecond
	// pauseTime is long enough for another one to lead.
	pauseTime = 2500 * time.Millisecond
)

// directions are the routes between one machine and others, one way and the other.
func directions(name string, others []string) (in, out []route) {
	for _, r := range between([]string{name}, others) {
		if r.to == name {
			in = append(in, r)
		} else {
			out = append(out, r)
		}
	}
	return in, out
}

// cutOff parts one machine from all others.
func (n *nemesis) cutOff(m *machine) func() bool {
	if m == nil {
		return nil
	}
	return n.cut(between([]string{m.name}, n.others(m)))
}

func (n *nemesis) cut(routes []route) func() bool {
	n.w.net.hold(routes)
	return func() bool { return n.w.net.release(routes) > 0 }
}

func (n *nemesis) cutOffLeader() func() bool { return n.cutOff(n.w.leader()) }
func (n *nemesis) cutOffAny() func() bool    { return n.cutOff(n.up()) }

// split parts the machines in two groups.
func (n *nemesis) split() func() bool {
	var as, bs []string
	for _, m := range n.w.all() {
		if n.w.rng.IntN(2) == 0 {
			as = append(as, m.name)
		} else {
			bs = append(bs, m.name)
		}
	}
	return n.cut(between(as, bs))
}

// cutOneWay has one machine hear others that don't hear it, or the other way
// round. The leader is often one of them.
func (n *nemesis) cutOneWay() func() bool {
	m := n.w.leader()
	if m == nil || n.w.rng.IntN(2) == 0 {
		m = n.w.anyMachine(n.w.rng)
	}
	in, cut := directions(m.name, n.others(m))
	if n.w.rng.IntN(2) == 0 {
		cut = in
	}
	var routes []route
	for _, r := range cut {
		if n.w.rng.IntN(3) > 0 {
			routes = append(routes, r)
		}
	}
	return n.cut(routes)
}

// resetLinks breaks all connections of a machine and cuts it off.
func (n *nemesis) resetLinks() func() bool {
	m := n.w.anyMachine(n.w.rng)
	routes := between([]string{m.name}, n.others(m))
	broken := n.w.net.reset(routes)
	mend := n.cut(routes)
	return func() bool { return mend() || broken > 0 }
}

// refuseLinks breaks all connections of a machine, and has those to it and from it
// refused, or only one way.
func (n *nemesis) refuseLinks() func() bool {
	m := n.w.leader()
	if m == nil || n.w.rng.IntN(2) == 0 {
		m = n.w.anyMachine(n.w.rng)
	}
	in, out := directions(m.name, n.others(m))
	routes := [][]route{in, out, slices.Concat(in, out)}[n.w.rng.IntN(3)]
	n.w.net.refuse(routes, 1)
	broken := n.w.net.reset(routes)
	return func() bool {
		n.w.net.refuse(routes, -1)
		return broken > 0
	}
}

// slowLinks makes all links of a machine slower than an election is patient, or
// nearly.
func (n *nemesis) slowLinks() func() bool {
	m := n.w.leader()
	if m == nil {
		return nil
	}
	routes := between([]string{m.name}, n.others(m))
	by := 300*time.Millisecond + time.Duration(n.w.rng.Int64N(int64(2*time.Second)))
	n.w.net.slow(routes, by)
	return func() bool {
		n.w.net.slow(routes, -by)
		return false
	}
}

// kill ends the process of a machine; percent of what isn't synced is left.
func (n *nemesis) kill(m *machine, percent int) func() bool {
	if m == nil || m.running() == nil {
		return nil
	}
	applied := m.crash(percent)
	return func() bool { return n.revive(m, applied) }
}

// revive starts a machine that had applied so much, and tells whether its state
// lacks any of it.
func (n *nemesis) revive(m *machine, applied uint64) (lost bool) {
	if err := m.start(); err != nil {
		n.w.violate("%v", err)
		return false
	}
	n.w.note("%s had applied %d and starts with %d", m.name, applied, m.running().opened)
	return m.running().opened < applied
}

func (n *nemesis) killLeader() func() bool { return n.kill(n.w.leader(), 100) }
func (n *nemesis) powerOff() func() bool   { return n.kill(n.up(), n.percent()) }

// powerOffAll leaves no machine running.
func (n *nemesis) powerOffAll() func() bool {
	var mends []func() bool
	for _, m := range n.w.all() {
		if mend := n.kill(m, n.percent()); mend != nil {
			mends = append(mends, mend)
		}
	}
	return func() (lost bool) {
		for _, mend := range mends {
			lost = mend() || lost
		}
		return lost
	}
}

// powerOffAtWrite has a machine lose its power before one of the next writes to
// its state: in the middle of a flush, a snapshot, a restore.
func (n *nemesis) powerOffAtWrite() func() bool {
	m := n.up()
	if m == nil {
		return nil
	}
	p := m.running()
	died := m.crashAtWrite(n.w.rng.IntN(16), n.percent())
	n.w.background.Go(func() { _ = p.state.Flush() })
	return func() bool {
		applied, came := died()
		return came && n.revive(m, applied)
	}
}

// restart stops a machine in order, and starts it.
func (n *nemesis) restart() func() bool {
	m := n.up()
	if m == nil {
		return nil
	}
	if err := m.stop(); err != nil {
		n.w.violate("stopping %s: %v", m.name, err)
	}
	return func() bool { return n.revive(m, 0) }
}

func (n *nemesis) transfer() func() bool {
	m := n.up()
	if m == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), maxFaultTime)
	defer cancel()
	_ = m.running().node.TransferLeadership(ctx, "")
	return func() bool { return false }
}

// stallLog has a disk take no write.
func (n *nemesis) stallLog() func() bool {
	m := n.up()
	if m == nil || !m.pause(false) {
		return nil
	}
	return func() bool {
		m.resume()
		return false
	}
}

// jumpClocks sets the wall clocks of all machines anew, and lets the monotonic one
// of some stand still. It counts only if it has an effect on roles: it must not.
func (n *nemesis) jumpClocks() func() bool {
	var asleep []*process
	for _, m := range n.w.all() {
		m.wall = time.Duration(n.w.rng.Int64N(int64(20*time.Minute))) - 10*time.Minute
		p := m.running()
		if p == nil {
			continue
		}
		p.clock.jump(m.wall)
		if n.w.rng.IntN(2) == 0 {
			p.clock.freeze()
			asleep = append(asleep, p)
		}
	}
	return func() bool {
		for _, p := range asleep {
			p.clock.thaw()
		}
		return false
	}
}

// replaceMember removes a member and has a new one join, in either order.
func (n *nemesis) replaceMember() func() bool {
	gone := n.up()
	if gone == nil {
		return nil
	}
	newcomer, err := n.w.machine()
	if err == nil {
		err = newcomer.start()
	}
	if err != nil {
		n.w.violate("%v", err)
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), changeTime)
	steps := []func() error{
		func() error { return n.join(ctx, newcomer, gone) },
		func() error { return n.remove(ctx, gone) },
	}
	if n.w.rng.IntN(2) == 0 {
		steps[0], steps[1] = steps[1], steps[0]
	}
	done := make(chan error, 1)
	n.w.background.Go(func() { done <- errors.Join(steps[0](), steps[1]()) })
	return func() bool {
		defer cancel()
		if err := <-done; err != nil {
			n.w.violate("replacing %s: %v", gone.name, err)
			return false
		}
		n.farewell(gone)
		return true
	}
}

// changeTime bounds a change of membership, in the middle of a fault or not.
const changeTime = 2 * recoveryTime

// join has the newcomer join through anybody but who is to leave.
func (n *nemesis) join(ctx context.Context, newcomer, gone *machine) error {
	rng := rand.New(rand.NewPCG(n.w.seed, uint64(n.w.named)))
	var err error
	for ctx.Err() == nil {
		through := n.w.anyMachine(rng)
		if through == gone {
			continue
		}
		attempt, cancel := context.WithTimeout(ctx, recoveryTime/4)
		err = newcomer.running().node.Join(attempt, through.addr(), adminToken, false)
		cancel()
		if err == nil || errors.Is(err, cluster.ErrAlreadyJoined) {
			n.w.add(newcomer)
			return nil
		}
		time.Sleep(retryTime)
	}
	return fmt.Errorf("joining: %w", err)
}

const retryTime = 100 * time.Millisecond

func (n *nemesis) remove(ctx context.Context, gone *machine) error {
	rng := rand.New(rand.NewPCG(n.w.seed, uint64(n.w.named)+1))
	var err error
	for ctx.Err() == nil {
		through := n.w.anyMachine(rng).running()
		if through == nil || through.m == gone {
			time.Sleep(retryTime)
			continue
		}
		attempt, cancel := context.WithTimeout(ctx, recoveryTime/4)
		err = through.node.Remove(attempt, gone.name, false)
		cancel()
		if err == nil || errors.Is(err, cluster.ErrUnknownMember) {
			return nil
		}
		time.Sleep(retryTime)
	}
	return fmt.Errorf("removing: %w", err)
}

// farewell waits until a machine has noticed that it was removed.
func (n *nemesis) farewell(gone *machine) {
	timer := time.NewTimer(recoveryTime)
	defer timer.Stop()
	select {
	case <-gone.running().node.Removed():
	case <-timer.C:
		members, err := gone.running().node.Members()
		n.w.violate("%s doesn't notice that it was removed: %+v, %+v, %v\n%s", gone.name, gone.running().node.Status(), members, err, n.w.statuses())
	}
	n.w.remove(gone)
	if err := gone.stop(); err != nil {
		n.w.violate("stopping %s: %v", gone.name, err)
	}
}
