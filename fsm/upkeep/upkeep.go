// Package upkeep is what a node does beside what it is asked: it keeps its state
// flushed, and while it leads it proposes what is due from time to time. What that
// is, package fsm decides.
package upkeep

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"pipesync/fsm"
)

// Pace is how often there is something to do.
type Pace struct {
	// Collect is how often the leader looks for tombstones that are due. They are due
	// for a good while, so that little hangs on it.
	Collect time.Duration
	// Changes is how often it looks for changes that are due, and for the contents that
	// came with them: what it costs is a look at each namespace, and what is superseded
	// until then takes disk.
	Changes time.Duration
	// Reconcile is how long whoever follows the changes may have to wait for the
	// first deletions of a large refresh. It costs a look at the state.
	Reconcile time.Duration
	// Gap is left between two steps, so that upkeep never takes more than a fraction
	// of what the cluster can do. ReconcileGap is that of reconciles, whose steps are
	// small and many.
	Gap          time.Duration
	ReconcileGap time.Duration
	// A mark is due after MarkEntries, or Mark of cluster time after the last one if
	// there was any. Both bound how much is answered from a state that has gone wrong.
	MarkEntries uint64
	Mark        time.Duration
	// Scrub is how often all rows are hashed, in cluster time.
	Scrub time.Duration
}

// DefaultPace is a node's.
var DefaultPace = Pace{
	Collect:      10 * time.Minute,
	Changes:      10 * time.Second,
	Reconcile:    time.Second,
	Gap:          100 * time.Millisecond,
	ReconcileGap: 25 * time.Millisecond,
	MarkEntries:  1024,
	Mark:         60 * time.Second,
	Scrub:        24 * time.Hour,
}

const (
	// maxSweeps bounds one round; the next goes on with the others.
	maxSweeps = 1000
	// maxSteps of one sweep are in the log at once. Each waits there for its turn, which takes
	// seconds where entries are as large as may be: so many keep up with Pace.Gap.
	maxSteps = 64
)

// Leader is a node as upkeep sees it. Its functions may be called by any number of
// goroutines.
type Leader struct {
	State interface{ View() (*fsm.View, error) }
	// ClusterTime is in nanoseconds; 0 while the node doesn't lead.
	ClusterTime func() int64
	// Propose returns nil when an entry with the body was applied, and decided OK.
	Propose func(ctx context.Context, body []byte) error
	Pace    Pace
	Log     *slog.Logger
}

// Job is one kind of work, which goes on beside the others.
type Job struct {
	Name string
	Run  func(context.Context) // works until its context ends
}

// Jobs are all of a leader's.
func (l Leader) Jobs() []Job {
	marker := &marker{Leader: l}
	jobs := []Job{{"marking the log", marker.run}}
	for _, u := range []upkeep{
		{doing: "collecting tombstones", every: l.Pace.Collect, gap: l.Pace.Gap, due: dueTombstones},
		{doing: "collecting changes", every: l.Pace.Changes, gap: l.Pace.Gap, due: dueChanges},
		{doing: "reconciling refreshes", every: l.Pace.Reconcile, gap: l.Pace.ReconcileGap, due: dueReconciles},
		{doing: "purging organizations", every: l.Pace.Reconcile, gap: l.Pace.Gap, due: duePurges},
	} {
		u.Leader = l
		jobs = append(jobs, Job{u.doing, u.run})
	}
	return jobs
}

// sweep is a pass over a part of the state in steps, each of which gives a
// command to propose or nil. It may be broken off at any time.
type sweep interface {
	Done() bool
	Next(v *fsm.View, id fsm.RequestID) (fsm.Command, error)
}

// hasty is a sweep that can have more to do than usual, and whose steps needn't be applied one
// by one.
type hasty interface{ Haste() uint64 }

// upkeep is work that the leader has to do from time to time. What is due, fsm
// decides; every node does it by an entry.
type upkeep struct {
	Leader
	doing string
	every time.Duration
	gap   time.Duration // between two steps
	due   func(v *fsm.View, clusterTime int64) ([]sweep, error)
}

func dueTombstones(v *fsm.View, clusterTime int64) ([]sweep, error) {
	return asSweeps(v.Sweeps(clusterTime, maxSweeps))
}

func dueChanges(v *fsm.View, _ int64) ([]sweep, error) {
	return asSweeps(v.ChangeSweeps(maxSweeps))
}

func dueReconciles(v *fsm.View, _ int64) ([]sweep, error) {
	return asSweeps(v.ReconcileSweeps(maxSweeps))
}

func duePurges(v *fsm.View, _ int64) ([]sweep, error) {
	return asSweeps(v.PurgeSweeps(maxSweeps))
}

func asSweeps[S sweep](due []S, err error) ([]sweep, error) {
	sweeps := make([]sweep, len(due))
	for i := range due {
		sweeps[i] = due[i]
	}
	return sweeps, err
}

// run works until ctx ends.
func (u *upkeep) run(ctx context.Context) {
	for pause(ctx, u.every) == nil {
		if err := u.round(ctx); err != nil && ctx.Err() == nil {
			u.Log.Warn(u.doing+" failed; trying again later", "error", err, "again_in", u.every)
		}
	}
}

// round does what is due now. A sweep that is broken off is begun anew by the
// next round, of whichever node leads then.
func (u *upkeep) round(ctx context.Context) error {
	now := u.ClusterTime()
	if now == 0 {
		return nil
	}
	due, err := u.look(now)
	if err != nil {
		return err
	}
	for _, s := range due {
		if err := u.finish(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// finish takes a sweep to its end, and returns when none of its steps is in the log any more.
func (u *upkeep) finish(ctx context.Context, s sweep) error {
	steps, ctx := errgroup.WithContext(ctx)
	room := semaphore.NewWeighted(maxSteps)
	steps.Go(func() error {
		for !s.Done() && u.ClusterTime() != 0 {
			gap, share := u.gap, int64(maxSteps)
			if s, may := s.(hasty); may {
				gap /= time.Duration(s.Haste())
				share = 1
			}
			if err := room.Acquire(ctx, share); err != nil {
				return err
			}
			if err := pause(ctx, gap); err != nil {
				return err
			}
			body, err := u.next(s)
			if err != nil {
				return err
			}
			if body == nil {
				room.Release(share)
				continue
			}
			steps.Go(func() error {
				defer room.Release(share)
				return u.Propose(ctx, body)
			})
		}
		return nil
	})
	return steps.Wait()
}

func (u *upkeep) look(now int64) ([]sweep, error) {
	view, err := u.State.View()
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

// next returns the body of the next entry to propose, or nil where this step found nothing.
func (u *upkeep) next(s sweep) ([]byte, error) {
	view, err := u.State.View()
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
	if command == nil {
		return nil, nil
	}
	return fsm.Encode(command)
}

// pause returns nil when the time is over, or why ctx ended before.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
