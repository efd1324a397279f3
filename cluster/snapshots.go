package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"
)

const (
	// snapshotBytes of log since the last snapshot trigger the next.
	snapshotBytes         = 256 << 20
	snapshotCheckInterval = 2 * time.Second
	// trailingBytes of log are kept behind a snapshot, so that a follower that
	// was away for a while, or restores just now, needs no snapshot.
	trailingBytes      = 256 << 20
	minTrailingEntries = 128
	maxTrailingEntries = 10240
)

// snapshotByBytes takes a snapshot whenever snapshotBytes have been logged.
func (c *core) snapshotByBytes(ctx context.Context) {
	tick := time.NewTicker(snapshotCheckInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if c.store.metered.bytes.Load() < snapshotBytes {
			continue
		}
		if err := c.snapshot(ctx); err != nil && ctx.Err() == nil {
			c.logger.Warn("taking a snapshot", "error", err)
		}
	}
}

// snapshot takes one now and cuts the log behind it. It is refused while the
// newest configuration has not been followed by an applied entry.
func (c *core) snapshot(ctx context.Context) error {
	bytes, entries := c.store.metered.bytes.Load(), c.store.metered.entries.Load()
	reload := c.raft.ReloadableConfig()
	reload.TrailingLogs = trailingEntries(bytes, entries)
	if err := c.raft.ReloadConfig(reload); err != nil {
		return err
	}
	err := await(ctx, func() error { return c.raft.Snapshot().Error() })
	if err != nil && !errors.Is(err, raft.ErrNothingNewToSnapshot) {
		return err
	}
	c.store.metered.bytes.Add(-bytes)
	c.store.metered.entries.Add(-entries)
	return nil
}

// trailingEntries turns the budget of bytes into a number of entries of the
// size seen lately.
func trailingEntries(bytes, entries int64) uint64 {
	if bytes <= 0 || entries <= 0 {
		return maxTrailingEntries
	}
	n := trailingBytes / max(bytes/entries, 1)
	return uint64(min(max(n, minTrailingEntries), maxTrailingEntries))
}

// newestSnapshot is the index of the newest snapshot, 0 if there is none.
func newestSnapshot(snapshots raft.SnapshotStore) (uint64, error) {
	list, err := snapshots.List()
	if err != nil {
		return 0, fmt.Errorf("listing the snapshots: %w", err)
	}
	if len(list) == 0 {
		return 0, nil
	}
	return list[0].Index, nil
}
