package cluster

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/raft"
)

// nobody is an id that no node can have.
const nobody = "(nobody)"

// beginChange waits until no other change of the configuration is under way here,
// no longer than ctx.
func (n *Node) beginChange(ctx context.Context) (done func(), err error) {
	select {
	case n.changing <- struct{}{}:
		return func() { <-n.changing }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("awaiting another change of the configuration: %w", errLeaderBusy)
	}
}

// pinned is a configuration and the index of its log entry. A change that
// names the index is refused by Raft if the configuration is another by then.
type pinned struct {
	raft.Configuration
	index uint64
}

// pinConfiguration returns the configuration that is in force, committed, with
// its index. Raft tells nobody that index but the author of a change, so this
// removes a member that does not exist: the entry it writes repeats the
// configuration, and everything before it is committed with it.
func (c *core) pinConfiguration(ctx context.Context) (pinned, error) {
	var index uint64
	err := await(ctx, func() error {
		f := c.raft.RemoveServer(nobody, 0, enqueueTime(ctx))
		if err := f.Error(); err != nil {
			return err
		}
		index = f.Index()
		return nil
	})
	if err != nil {
		return pinned{}, classifyChange(err)
	}
	// Read after the entry was written: this is its configuration, or a later
	// one, and then a change that names the index is refused.
	return pinned{c.raft.GetConfiguration().Configuration(), index}, nil
}

// beginPinnedChange is beginChange, with the configuration that is in force then.
func (n *Node) beginPinnedChange(ctx context.Context, c *core) (p pinned, done func(), err error) {
	if done, err = n.beginChange(ctx); err != nil {
		return pinned{}, nil, err
	}
	if p, err = c.pinConfiguration(ctx); err != nil {
		done()
		return pinned{}, nil, err
	}
	return p, done, nil
}

// put makes id a member at addr with the suffrage, if p is still in force.
func (c *core) put(ctx context.Context, p pinned, id raft.ServerID, addr raft.ServerAddress, suffrage raft.ServerSuffrage) error {
	return classifyChange(await(ctx, func() error {
		if suffrage == raft.Voter {
			return c.raft.AddVoter(id, addr, p.index, enqueueTime(ctx)).Error()
		}
		return c.raft.AddNonvoter(id, addr, p.index, enqueueTime(ctx)).Error()
	}))
}

// drop takes id out of the configuration, if p is still in force.
func (c *core) drop(ctx context.Context, p pinned, id raft.ServerID) error {
	return classifyChange(await(ctx, func() error {
		return c.raft.RemoveServer(id, p.index, enqueueTime(ctx)).Error()
	}))
}

// enqueueTime is how long Raft's main loop may take to accept a change.
func enqueueTime(ctx context.Context) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return maxEnqueueTime
	}
	// Raft takes zero for no limit.
	return max(min(maxEnqueueTime, time.Until(deadline)), time.Millisecond)
}

// barrier returns when this leader has applied all that it has proposed before.
func (c *core) barrier(ctx context.Context) error {
	return classifyChange(await(ctx, func() error { return c.raft.Barrier(enqueueTime(ctx)).Error() }))
}

func (p pinned) server(id raft.ServerID) (raft.Server, bool) {
	for _, s := range p.Servers {
		if s.ID == id {
			return s, true
		}
	}
	return raft.Server{}, false
}

// addressTaken returns ErrIDTaken if another member than id has addr.
func (p pinned) addressTaken(id raft.ServerID, addr raft.ServerAddress) error {
	for _, s := range p.Servers {
		if s.Address == addr && s.ID != id {
			return fmt.Errorf("%s is the address of member %s: %w", addr, s.ID, ErrIDTaken)
		}
	}
	return nil
}
