package main

import (
	"context"
	"errors"
	"os"
	"time"

	"pipesync/internal/testcluster"
	"pipesync/test/jepsen/rot"
)

// sendingSeconds is how long a leader may take to send a snapshot to a member.
const sendingSeconds = 15

// beginSending damages a file of the leader's newest snapshot, which a member needs that was
// away until the others had no more the log which it lacks: the leader reads it on the
// way there.
func (d damage) beginSending(ctx context.Context, n *nemesis) (*broken, error) {
	behind := n.any()
	b := &broken{on: []*testcluster.Node{behind}, heal: restarts([]*testcluster.Node{behind})}
	status, err := behind.Client().Status(ctx)
	if err != nil {
		b.heal = nothing // it may be down
		return b, nil
	}
	if err := behind.Stop(ctx); err != nil {
		return b, err
	}
	if through, err := n.outgrow(ctx, behind, status.LastLogIndex); err != nil || !through {
		return b, err
	}
	leader, err := n.leaderBut(ctx, behind)
	if err != nil {
		return b, err
	}
	log, err := os.Stat(leader.Log)
	if err != nil {
		return b, err
	}
	v := &victim{node: leader, ranOn: true, logged: log.Size()}
	if err := d.whilePaused(n, v); err != nil {
		if errors.Is(err, rot.ErrNothing) {
			err = nil
		}
		return b, err
	}
	b.on = []*testcluster.Node{leader}
	b.heal = func(ctx context.Context) error {
		if leader.Running() {
			return nil
		}
		if err := beginAnew(ctx, n, leader, n.another(leader)); err != nil {
			return err
		}
		return comesAnew(ctx, leader, n.another(leader))
	}
	if err := behind.Start(); err != nil {
		return b, err
	}
	read, err := d.sent(ctx, v, behind)
	if !read || err != nil {
		return b, errors.Join(err, leader.Kill9()) // it begins anew, rather than meet it some other time
	}
	if v.rot.Detected != "" {
		b.proof = v.rot.Place + ": " + v.rot.Detected
	}
	n.mu.Lock()
	n.hist.Rots = append(n.hist.Rots, v.rot)
	n.mu.Unlock()
	return b, nil
}

// sent waits until the leader has noticed, or the member has a snapshot all the same, and
// says whether the leader has had to read what is damaged.
func (d damage) sent(ctx context.Context, v *victim, behind *testcluster.Node) (read bool, err error) {
	within, cancel := context.WithTimeout(ctx, sendingSeconds*time.Second)
	defer cancel()
	err = testcluster.Await(within, "a snapshot in "+behind.ID, func(ctx context.Context) error {
		if !v.node.Running() {
			return nil
		}
		restores, err := metric(ctx, behind, restoresMetric)
		if err == nil && restores == 0 {
			err = errors.New("it has installed none")
		}
		return err
	})
	if !v.node.Running() {
		return true, d.noticed(v)
	}
	if err != nil {
		return false, nil
	}
	status, err := v.node.Client().Status(ctx)
	if err != nil || status.Role != "leader" {
		return false, nil // another has sent its own
	}
	newest, err := rot.IsNewest(v.node.Dir, v.place.File)
	if err == nil && !newest {
		v.rot.Gone = "a newer snapshot has taken its place"
	}
	return true, err
}
