package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"pipesync/internal/testcluster"
)

var frozenFaults = []fault{
	{kind: "disk of the leader frozen", needs: freezable, begin: onLeader(freezeUntilAnotherLeads)},
	{kind: "disk of a member frozen", needs: freezable, begin: onAny(freeze)},
}

const (
	// thawSeconds is how long a disk is frozen at most, whatever becomes of this process.
	thawSeconds = 60
	// A node ends whose disk hangs for 10 s; one that is thawed sooner than this goes on,
	// and one that isn't gone so long after it does as well.
	surelyGoesOn, surelyGone = 9 * time.Second, 5 * time.Second
)

func freezable() error {
	if _, err := exec.LookPath("fsfreeze"); err != nil {
		return errors.New("it needs fsfreeze (Debian: apt-get install util-linux)")
	}
	return nil
}

// freeze has the kernel hold back all writes to a disk: who writes to it can't be ended.
// The process goes on once it is thawed, if that isn't too late.
func freeze(ctx context.Context, n *nemesis, nodes []*testcluster.Node) (*broken, error) {
	node := nodes[0]
	began := time.Now()
	timer, err := thawLater(diskOf(node))
	if err != nil {
		return nil, err
	}
	b := &broken{on: nodes, heal: func(ctx context.Context) error {
		err := tool("fsfreeze", "--unfreeze", diskOf(node))
		_ = syscall.Kill(-timer.Process.Pid, syscall.SIGKILL)
		_ = timer.Wait()
		if err != nil {
			return err
		}
		if time.Since(began) > surelyGoesOn {
			select {
			case <-node.Process().Exited():
			case <-time.After(surelyGone):
			}
		}
		if !node.Running() {
			err = node.Start()
		}
		return errors.Join(err, os.RemoveAll(filepath.Join(diskOf(node), canaryName)))
	}}
	if err := tool("fsfreeze", "--freeze", diskOf(node)); err != nil {
		return b, errors.Join(err, b.heal(ctx))
	}
	t, err := touch("write", node)
	if err != nil {
		return b, errors.Join(err, b.heal(ctx))
	}
	if t.Hangs {
		b.proof = "a write doesn't return"
	}
	return b, nil
}

// freezeUntilAnotherLeads goes on, every other time, until the leader has given up.
func freezeUntilAnotherLeads(ctx context.Context, n *nemesis, nodes []*testcluster.Node) (*broken, error) {
	b, err := freeze(ctx, n, nodes)
	if err != nil || b.proof == "" || n.rng.IntN(2) == 0 {
		return b, err
	}
	if err := n.othersGoOn(ctx, nodes[0]); err != nil {
		return b, errors.Join(err, b.heal(ctx))
	}
	b.proof += ", and another member leads"
	return b, nil
}

// thawLater starts a process that thaws a disk in the end. Unlike those of nodes it
// doesn't end with this one.
func thawLater(disk string) (*exec.Cmd, error) {
	timer := exec.Command("sh", "-c", fmt.Sprintf("sleep %d; fsfreeze --unfreeze %s", thawSeconds, disk))
	timer.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return timer, timer.Start()
}
