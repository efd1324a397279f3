package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"pipesync/internal/testcluster"
)

// mixedFaults are those of a run with members of two releases.
var mixedFaults = []fault{
	{kind: "member upgraded", begin: upgrade},
	{kind: "member downgraded", begin: downgrade},
}

// kinds are those of this run. What the previous release is known not to stand it isn't put
// to: it has nothing of what was mended since.
func (o options) kinds() []fault {
	if o.mixed {
		return slices.Concat(processFaults, networkFaults, linkFaults, slowFaults, diskFaults, memberFaults, mixedFaults)
	}
	return slices.DeleteFunc(slices.Clone(faults), func(f fault) bool {
		return slices.ContainsFunc(mixedFaults, func(m fault) bool { return m.kind == f.kind })
	})
}

// programs builds what is missing of the programs of the run, and notes which they are.
func (r *run) programs(ctx context.Context, dir string) (err error) {
	if r.binary == "" {
		if r.binary, err = testcluster.Build(ctx, dir, false); err != nil {
			return err
		}
	}
	if r.hist.Version, err = versionOf(ctx, r.binary); err != nil || !r.mixed {
		return err
	}
	if r.previous, err = testcluster.BuildPrevious(ctx, dir); err != nil {
		return err
	}
	before, err := versionOf(ctx, r.previous)
	r.hist.Version += ", with the previous release, " + before
	return err
}

func versionOf(ctx context.Context, program string) (string, error) {
	version, err := exec.CommandContext(ctx, program, "version").Output()
	if err != nil {
		return "", fmt.Errorf("asking %s for its version: %w", program, err)
	}
	return strings.TrimSpace(string(version)), nil
}

// upgrade has a member of the previous release start as one of this tree. One stays as it
// is, so that the cluster's version does, and there is a way back.
func upgrade(ctx context.Context, n *nemesis) (*broken, error) {
	return n.swap(ctx, n.previous, n.binary, 2)
}

func downgrade(ctx context.Context, n *nemesis) (*broken, error) {
	return n.swap(ctx, n.binary, n.previous, 1)
}

// swap has a member that runs one program run the other, if there are so many; else one the
// other way first.
func (n *nemesis) swap(ctx context.Context, from, to string, atLeast int) (*broken, error) {
	b := &broken{heal: nothing}
	if len(n.running(from)) < atLeast {
		if err := n.restartAs(ctx, n.running(to)[0], from); err != nil {
			return b, err
		}
	}
	node := n.running(from)[0]
	b.on = []*testcluster.Node{node}
	if err := n.restartAs(ctx, node, to); err != nil {
		return b, err
	}
	runs, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", node.Process().Pid()))
	if err == nil && runs == to {
		b.proof = "the kernel says that it runs " + filepath.Base(to)
	}
	return b, err
}

// keepPrevious has another member run the previous release before the only one that does is
// taken out: without it the cluster's version rises, and it couldn't come back.
func (n *nemesis) keepPrevious(ctx context.Context, gone *testcluster.Node) error {
	old := n.running(n.previous)
	if !n.mixed || len(old) != 1 || old[0] != gone {
		return nil
	}
	return n.restartAs(ctx, n.another(gone), n.previous)
}

// running are the members that run a program, in an order of chance.
func (n *nemesis) running(program string) []*testcluster.Node {
	return slices.DeleteFunc(n.shuffled(), func(node *testcluster.Node) bool { return node.Binary != program })
}

// restartAs stops a member, and starts a program in its directory.
func (n *nemesis) restartAs(ctx context.Context, node *testcluster.Node, program string) error {
	if err := node.Stop(ctx); err != nil {
		return err
	}
	n.mu.Lock()
	node.Binary = program
	n.mu.Unlock()
	return node.Restart(ctx)
}
