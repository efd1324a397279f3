package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"time"

	"pipesync/fsm"
)

const (
	// collectEvery is how often the leader looks for tombstones and changes that
	// are due. They are due for a good while, so that little hangs on it.
	collectEvery = 10 * time.Minute
	// reconcileEvery is how long whoever follows the changes may have to wait for
	// the first deletions of a large refresh. It costs a look at the state.
	reconcileEvery = time.Second
	// upkeepGap is left between two steps, so that upkeep never takes more than a
	// fraction of what the cluster can do.
	upkeepGap = 100 * time.Millisecond
	// maxUpkeepSweeps bounds one round; the next goes on with the others.
	maxUpkeepSweeps = 1000
)

// sweep is a pass over a part of the state in steps, each of which gives a
// command to propose or nil. It may be broken off at any time.
type sweep interface {
	Done() bool
	Next(v *fsm.View, id fsm.RequestID) (fsm.Command, error)
}

// upkeep is work that the leader has to do from time to time. What is due, fsm
// decides; every node does it by an entry.
type upkeep struct {
	doing string
	every time.Duration
	due   func(v *fsm.View, clusterTime int64) ([]sweep, error)

	state interface{ View() (*fsm.View, error) }
	// clusterTime is 0 while this node doesn't lead.
	clusterTime func() int64
	propose     func(ctx context.Context, body []byte) error
	gap         time.Duration
	log         *slog.Logger
}

func dueTombstones(v *fsm.View, clusterTime int64) ([]sweep, error) {
	return asSweeps(v.Sweeps(clusterTime, maxUpkeepSweeps))
}

func dueChanges(v *fsm.View, _ int64) ([]sweep, error) {
	return asSweeps(v.ChangeSweeps(maxUpkeepSweeps))
}

func dueReconciles(v *fsm.View, _ int64) ([]sweep, error) {
	return asSweeps(v.ReconcileSweeps(maxUpkeepSweeps))
}

func duePurges(v *fsm.View, _ int64) ([]sweep, error) {
	return asSweeps(v.PurgeSweeps(maxUpkeepSweeps))
}

func asSweeps[S sweep](due []S, err error) ([]sweep, error) {
	sweeps := make([]sweep, len(due))
	for i := range due {
		sweeps[i] = due[i]
	}
	return sweeps, err
}

// startUpkeep starts all of it; each kind goes on beside the others.
func (n *node) startUpkeep() error {
	kinds := []upkeep{
		{doing: "collecting tombstones", every: collectEvery, due: dueTombstones},
		{doing: "collecting changes", every: collectEvery, due: dueChanges},
		{doing: "reconciling refreshes", every: reconcileEvery, due: dueReconciles},
		{doing: "purging organizations", every: reconcileEvery, due: duePurges},
	}
	for _, u := range kinds {
		u.state, u.clusterTime, u.propose, u.gap, u.log = n.state, n.leadingTime, n.propose, upkeepGap, n.log
		n.inBackground(u.doing, u.run)
	}
	return nil
}

// run works until ctx ends.
func (u *upkeep) run(ctx context.Context) {
	for pause(ctx, u.every) == nil {
		if err := u.round(ctx); err != nil && ctx.Err() == nil {
			u.log.Warn(u.doing+" failed; trying again later", "error", err, "again_in", u.every)
		}
	}
}

// round does what is due now. A sweep that is broken off is begun anew by the
// next round, of whichever node leads then.
func (u *upkeep) round(ctx context.Context) error {
	now := u.clusterTime()
	if now == 0 {
		return nil
	}
	due, err := u.look(now)
	if err != nil {
		return err
	}
	for _, s := range due {
		for !s.Done() && u.clusterTime() != 0 {
			if err := u.step(ctx, s); err != nil {
				return err
			}
			if err := pause(ctx, u.gap); err != nil {
				return err
			}
		}
	}
	return nil
}

func (u *upkeep) look(now int64) ([]sweep, error) {
	view, err := u.state.View()
	if err != nil {
		return nil, fmt.Errorf("looking for what is due: %w", err)
	}
	defer view.Close()
	due, err := u.due(view, now)
	if err != nil {
		return nil, fmt.Errorf("looking for what is due: %w", err)
	}
	return due, nil
}

func (u *upkeep) step(ctx context.Context, s sweep) error {
	command, err := u.next(s)
	if err != nil || command == nil {
		return err
	}
	body, err := fsm.Encode(command)
	if err != nil {
		return err
	}
	return u.propose(ctx, body)
}

func (u *upkeep) next(s sweep) (fsm.Command, error) {
	view, err := u.state.View()
	if err != nil {
		return nil, fmt.Errorf("going on with a sweep: %w", err)
	}
	defer view.Close()
	var id fsm.RequestID
	_, _ = rand.Read(id[:]) // never fails: see crypto/rand
	command, err := s.Next(view, id)
	if err != nil {
		return nil, fmt.Errorf("going on with a sweep: %w", err)
	}
	return command, nil
}
