package cluster

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/raft"
)

// Versions tells which cluster versions this program can be a member of, and which
// one the cluster has. Entries of a newer one would stop an older program. Its
// methods are called concurrently.
type Versions interface {
	// Supported is the newest version that this program knows, for as long as it runs.
	Supported() uint32
	// Current is the cluster's, as the state machine has it; 0 before there is one.
	Current() uint32
	// Raise is the body of a proposal that makes version the cluster's, or leaves
	// one that is higher.
	Raise(version uint32) ([]byte, error)
}

// raiseTimeout bounds one attempt to raise the version.
const raiseTimeout = 10 * time.Second

// versionless is a cluster that never changes.
type versionless struct{}

func (versionless) Supported() uint32            { return 1 }
func (versionless) Current() uint32              { return 1 }
func (versionless) Raise(uint32) ([]byte, error) { return nil, nil }

// checkJoiner refuses a node that doesn't know the cluster's version, or one that
// this node has proposed: what became of that may not be known yet. The caller
// holds changing, and leads: all raises of earlier terms have been applied.
func (n *Node) checkJoiner(supported uint32) error {
	if current := max(n.cfg.Versions.Current(), n.raising); supported < current {
		return fmt.Errorf("the cluster has version %d, and the node supports only up to %d: %w", current, supported, ErrVersionTooOld)
	}
	return nil
}

// raiseVersion makes the newest version that all members support the cluster's, if
// this node leads. supported is what the others have just reported, by id.
func (n *Node) raiseVersion(ctx context.Context, c *core, supported map[string]uint32) error {
	current := n.cfg.Versions.Current()
	if c.raft.State() != raft.Leader || current == 0 || n.commonVersion(c.servers(), c.self, supported) <= current {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, raiseTimeout)
	defer cancel()
	term := c.raft.CurrentTerm()
	if err := c.leadership.await(ctx, term); err != nil {
		return err
	}
	// Nobody joins until the raise is applied.
	p, done, err := n.beginPinnedChange(ctx, c)
	if err != nil {
		return err
	}
	defer done()
	to := n.commonVersion(p.Servers, c.self, supported)
	if to <= current {
		return nil
	}
	body, err := n.cfg.Versions.Raise(to)
	if err != nil {
		return err
	}
	n.raising = max(n.raising, to)
	if _, err := n.propose(ctx, c, term, body, func() {}); err != nil {
		return err
	}
	n.cfg.Logger.Info("raised the cluster's version", "from", current, "to", to)
	return nil
}

// commonVersion is the newest version that all servers support; 0 where one of
// them hasn't reported.
func (n *Node) commonVersion(servers []raft.Server, self raft.ServerID, supported map[string]uint32) uint32 {
	common := n.cfg.Versions.Supported()
	for _, s := range servers {
		if s.ID != self {
			common = min(common, supported[string(s.ID)])
		}
	}
	return common
}
