package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"pipesync/internal/testcluster"
)

// upgrade is a cluster of the previous release that becomes one of this tree.
type upgrade struct {
	*traffic
	previous string // binary

	// The newest versions of a cluster that the two know.
	before, after uint32
}

// A cluster of the previous release is upgraded node by node, while clients sync and
// read at all nodes, and the two releases lead each other. Its version rises with the last
// node and not before; until then there is a way back, and afterwards none.
func TestUpgrade(t *testing.T) {
	t.Parallel() // with TestRollingRestart
	previous, err := testcluster.BuildPrevious(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	c := testcluster.New(t, testcluster.Config{Binary: previous, Nodes: 3})
	s := newSuite(t, c, trafficDeadline)
	s.http = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: maxIdlePerNode}} // the document is of this tree alone
	t.Cleanup(s.http.CloseIdleConnections)
	u := &upgrade{traffic: s.startTraffic(asOften), previous: previous, before: s.newestVersion(previous), after: s.newestVersion(binary)}

	u.mix()
	for i, n := range s.Nodes[:3] {
		u.swap(n, binary)
		if i == 0 {
			u.swap(n, previous)
			u.swap(n, binary)
		}
	}
	u.await(fmt.Sprintf("version %d", u.after), func(context.Context) error {
		for _, n := range s.Nodes {
			if got := u.version(n); got != u.after {
				return fmt.Errorf("%s has %d", n.ID, got)
			}
		}
		return nil
	})
	u.keysInTheState()
	u.awaitAnswers(5, s.Nodes...)
	u.sameRows()
	u.end()
	u.noWayBack()
}

// newestVersion is that of a cluster that a program can be a member of.
func (s *suite) newestVersion(program string) uint32 {
	s.Helper()
	out, err := exec.CommandContext(s.ctx, program, "version", "-o", "json").Output()
	s.must(err)
	// The first release to say so knew two.
	told := struct {
		Max uint32 `json:"max_cluster_version"`
	}{1}
	s.must(json.Unmarshal(out, &told))
	return told.Max
}

// keysInTheState wants all members to gossip with the cluster's own key, which was
// configured with the previous release.
func (u *upgrade) keysInTheState() {
	u.Helper()
	u.await("the gossip key in the state of all members, and all of them alive", func(ctx context.Context) error {
		keys, err := u.admin(u.Nodes[0]).GossipKeys(ctx)
		if err != nil || keys.Revision == 0 || len(keys.WaitingFor) > 0 {
			return fmt.Errorf("it has %+v, %w", keys, err)
		}
		members, err := u.admin(u.Nodes[0]).Members(ctx)
		if err != nil {
			return err
		}
		for _, m := range members.Members {
			if !m.Alive {
				return fmt.Errorf("%s is not alive", m.ID)
			}
		}
		return nil
	})
}

func (u *upgrade) version(n *testcluster.Node) uint32 {
	u.Helper()
	status, err := u.admin(n).Status(u.ctx)
	u.must(err)
	return status.State.ClusterVersion
}

// mix has a node of this tree join, follow and then lead those of the previous release.
func (u *upgrade) mix() {
	u.Helper()
	old := u.Nodes[:3]
	n, err := u.NewNode()
	u.must(err)
	n.Binary = binary
	u.must(n.Start("--join", u.leader().Peer))
	u.must(n.AwaitReady(u.ctx))
	u.use(u.Nodes...)
	u.await("the vote of "+n.ID, func(context.Context) error {
		if m := u.member(old[0], n.ID); m == nil || !m.Voter {
			return fmt.Errorf("it is %+v", m)
		}
		return nil
	})
	for _, leader := range []*testcluster.Node{old[1], n} {
		u.lead(leader)
		u.awaitAnswers(5, u.Nodes...)
		u.sameRows()
	}
	if got := u.version(n); got != u.before {
		u.Errorf("the cluster has version %d, and members that know only %d", got, u.before)
	}
}

// swap stops a node and starts another program in its directory.
func (u *upgrade) swap(n *testcluster.Node, program string) {
	u.Helper()
	u.must(n.Stop(u.ctx))
	n.Binary = program
	u.must(n.Restart(u.ctx))
	u.awaitAnswers(5, u.Nodes...)
}

// noWayBack starts the previous release on what this tree has written.
func (u *upgrade) noWayBack() {
	u.Helper()
	n := u.Nodes[0]
	u.must(n.Stop(u.ctx))
	if u.after == u.before {
		// The directory of a release that knows more than both.
		u.must(os.WriteFile(filepath.Join(n.Dir, "state", "VERSION"), fmt.Appendf(nil, "%d\n", u.after+1), 0o600))
	}
	u.givesUp(n, fmt.Sprintf("this program knows only up to %d; start a newer one", u.before))
	if u.after == u.before {
		return
	}
	joiner, err := u.NewNode()
	u.must(err)
	u.givesUp(joiner, fmt.Sprintf("the cluster has version %d, and the node supports only up to %d", u.after, u.before),
		"--join", u.leader().Peer)
}

// givesUp wants the previous release to end by itself, with an error that says so.
func (u *upgrade) givesUp(n *testcluster.Node, why string, flags ...string) {
	u.Helper()
	n.Binary = u.previous
	u.must(n.Start(flags...))
	u.await("the previous release to give up as "+n.ID, func(context.Context) error {
		if n.Running() {
			return errors.New("it runs")
		}
		return nil
	})
	if tail := n.Tail(5); !strings.Contains(tail, why) {
		u.Errorf("it doesn't say that %q: %s", why, tail)
	}
}
