package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"
)

const (
	// snapshotBytes of log since the last snapshot trigger the next, unless the
	// configuration says otherwise.
	snapshotBytes         = 256 << 20
	snapshotCheckInterval = 2 * time.Second
	// What was logged in the last trailingTime is kept behind a snapshot, so that a
	// follower that restores one finds the log that follows it when it is done, and
	// one that was away for a while needs none. trailingBytes of it are kept in any
	// case, and no more than maxTrailingBytes.
	trailingTime       = 10 * time.Minute
	trailingBytes      = 256 << 20
	maxTrailingBytes   = 2 << 30
	minTrailingEntries = 128
	// leastTrailingEntries are kept if it is configured to keep fewer: what a member that
	// keeps up still needs.
	leastTrailingEntries = 16
	// firstTrailingEntries are kept until it is known how large entries are.
	firstTrailingEntries = 10240
	// joinersShare of the bytes that trigger a snapshot do so where a node joins: it
	// is sent less of the log then.
	joinersShare = 8
)

// snapshotByBytes takes a snapshot whenever so many bytes have been logged.
func (c *core) snapshotByBytes(ctx context.Context) {
	tick := time.NewTicker(snapshotCheckInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if c.store.metered.bytes.Load() < c.snapshotBytes {
			continue
		}
		if err := c.snapshot(ctx); err != nil && ctx.Err() == nil {
			c.logger.Warn("taking a snapshot", "error", err)
		}
	}
}

// snapshotForJoiner spares a node that is about to join, and has nothing yet, the log of
// all that is in the state: applying it takes many times what a snapshot does. Without
// one it joins as well.
func (c *core) snapshotForJoiner(ctx context.Context) {
	if c.store.metered.bytes.Load() < c.snapshotBytes/joinersShare {
		return
	}
	if err := c.snapshot(ctx); err != nil && ctx.Err() == nil {
		c.logger.Warn("taking a snapshot for a node that joins", "error", err)
	}
}

// snapshot takes one now, and cuts the log behind it. It is refused while the newest
// configuration has not been followed by an applied entry.
func (c *core) snapshot(ctx context.Context) error {
	select {
	case c.snapshotting <- struct{}{}:
		defer func() { <-c.snapshotting }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	now := time.Now()
	bytes, entries := c.store.metered.bytes.Load(), c.store.metered.entries.Load()
	trailing := c.simulation.TrailingEntries
	if trailing == 0 {
		trailing = trailingEntries(bytes, entries, now.Sub(c.snapshotAt), c.trailingBytes)
	}
	// The first entry goes in any case: Raft sends a snapshot only to whom it has none
	// of the log to send from, and else all of the log.
	trailing = min(trailing, max(c.raft.LastIndex(), 1)-1)
	if err := c.reload(func(rc *raft.ReloadableConfig) { rc.TrailingLogs = trailing }); err != nil {
		return err
	}
	began := time.Now()
	err := await(ctx, func() error { return c.raft.Snapshot().Error() })
	if !errors.Is(err, raft.ErrNothingNewToSnapshot) {
		c.progress.meters.snapshot(began, err)
		if err != nil {
			return err
		}
	}
	c.snapshotAt = now
	c.store.metered.bytes.Add(-bytes)
	c.store.metered.entries.Add(-entries)
	return nil
}

// trailingEntries turns the budgets of time and bytes, or a budget that was configured,
// into a number of entries of the size and at the pace seen lately.
func trailingEntries(bytes, entries int64, since time.Duration, configured int64) uint64 {
	if bytes <= 0 || entries <= 0 {
		return firstTrailingEntries
	}
	if configured > 0 {
		return uint64(max(configured/max(bytes/entries, 1), leastTrailingEntries))
	}
	budget := int64(maxTrailingBytes)
	if since > 0 {
		inTime := float64(bytes) * trailingTime.Seconds() / since.Seconds()
		budget = int64(min(max(inTime, trailingBytes), maxTrailingBytes))
	}
	return uint64(max(budget/max(bytes/entries, 1), minTrailingEntries))
}

// newestSnapshot is the zero one if there is none.
func newestSnapshot(snapshots raft.SnapshotStore) (raft.SnapshotMeta, error) {
	list, err := snapshots.List()
	if err != nil {
		return raft.SnapshotMeta{}, fmt.Errorf("listing the snapshots: %w", err)
	}
	if len(list) == 0 {
		return raft.SnapshotMeta{}, nil
	}
	return *list[0], nil
}

// floorOf tells the index of the newest snapshot: the log may lack entries up to it.
func floorOf(snapshots raft.SnapshotStore) func() (uint64, error) {
	return func() (uint64, error) {
		newest, err := newestSnapshot(snapshots)
		return newest.Index, err
	}
}
