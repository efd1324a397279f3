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

	"golang.org/x/sys/unix"

	"pipesync/internal/testcluster"
)

var diskFaults = []fault{
	{kind: "power lost by the leader", begin: onLeader(losePower)},
	{kind: "power lost by a member", begin: onAny(losePower)},
	{kind: "power lost by a majority", begin: onMajority(losePower)},
	{kind: "power lost by all", begin: onAll(losePower)},
	{kind: "disk of the leader full", begin: onLeader(fill)},
	{kind: "disks full", begin: onAll(fill)},
}

const (
	// diskBytes of each node; its watermark is a twentieth.
	diskBytes   = 1 << 30
	ballastName = "ballast"
	canaryName  = "canary"
	// unmountSeconds is how long a file system may be in use by a process that is gone.
	unmountSeconds = 10
)

// shareMounts has the processes of all nodes, each of which has a view of the mounts of
// its own, see what is mounted and unmounted here: a disk is in use as long as anybody
// sees it. Beyond the hub nobody does.
func shareMounts() error {
	if err := syscall.Mount("", "/", "", syscall.MS_SHARED|syscall.MS_REC, ""); err != nil {
		return fmt.Errorf("sharing the mounts of the hub: %w", err)
	}
	return nil
}

// diskOf is where the node's disk is mounted. The node has a directory on it, as it has on
// a volume: beside that there is room for what was there before.
func diskOf(n *testcluster.Node) string { return filepath.Dir(n.Dir) }

// makeDisk makes a disk that is a node's own, a file beside the directory, and mounts
// it. The mount is gone with the last process that sees it.
func makeDisk(at string) error {
	image := at + ".ext4"
	if err := errors.Join(os.WriteFile(image, nil, 0o600), os.Truncate(image, diskBytes)); err != nil {
		return err
	}
	if err := tool("mkfs.ext4", "-q", "-F", image); err != nil {
		return err
	}
	if err := os.MkdirAll(at, 0o700); err != nil {
		return err
	}
	return mountDisk(at)
}

func mountDisk(at string) error { return tool("mount", "-o", "loop", at+".ext4", at) }

// unmountDisk waits until nobody uses the disk any more, so that the kernel forgets all
// that it knew of it.
func unmountDisk(ctx context.Context, at string) error {
	ctx, cancel := context.WithTimeout(ctx, unmountSeconds*time.Second)
	defer cancel()
	return testcluster.Await(ctx, "the end of all that use "+at, func(context.Context) error { return syscall.Unmount(at, 0) })
}

func tool(args ...string) error {
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		return fmt.Errorf("%q: %w: %s", args, err, out)
	}
	return nil
}

// shutdownExt4 is EXT4_IOC_SHUTDOWN: from then on nothing reaches the disk. With
// withoutFlush, EXT4_GOING_FLAGS_NOLOGFLUSH, neither does what its journal has in memory.
const (
	shutdownExt4 = 0x8004587d
	withoutFlush = 2
)

// losePower has disks lose, at the same moment, all that wasn't synced, and ends the
// processes. They start again on what is left.
func losePower(ctx context.Context, _ *nemesis, nodes []*testcluster.Node) (*broken, error) {
	b := &broken{on: nodes, heal: restarts(nodes)}
	err := each(nodes, func(n *testcluster.Node) error {
		if err := os.WriteFile(filepath.Join(diskOf(n), canaryName), make([]byte, 1<<20), 0o600); err != nil {
			return err
		}
		return shutDown(diskOf(n))
	})
	err = errors.Join(err, each(nodes, (*testcluster.Node).Kill9))
	if err != nil {
		return b, err
	}
	lost := 0
	err = each(nodes, func(n *testcluster.Node) error {
		if err := unmountDisk(ctx, diskOf(n)); err != nil {
			return err
		}
		if err := mountDisk(diskOf(n)); err != nil {
			return err
		}
		canary := filepath.Join(diskOf(n), canaryName)
		info, err := os.Stat(canary)
		if errors.Is(err, os.ErrNotExist) || err == nil && info.Size() == 0 {
			lost++
		}
		return os.RemoveAll(canary)
	})
	if lost == len(nodes) {
		b.proof = "a file that wasn't synced is gone"
	}
	return b, err
}

func shutDown(dir string) error {
	file, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	return unix.IoctlSetPointerInt(int(file.Fd()), shutdownExt4, withoutFlush)
}

// fill leaves less room on disks than nodes need to take writes.
func fill(ctx context.Context, _ *nemesis, nodes []*testcluster.Node) (*broken, error) {
	b := &broken{on: nodes, heal: func(context.Context) error {
		return each(nodes, func(n *testcluster.Node) error { return os.Remove(filepath.Join(diskOf(n), ballastName)) })
	}}
	if err := each(nodes, fillDisk); err != nil {
		return b, err
	}
	for _, n := range nodes {
		err := testcluster.Await(ctx, "the alarm of "+n.ID, func(ctx context.Context) error {
			status, err := n.Client().Status(ctx)
			if err != nil {
				return err
			}
			for _, a := range status.Alarms {
				if a.Code == "DISK_FULL" {
					return nil
				}
			}
			return errors.New("there is none")
		})
		if err != nil {
			return b, errors.Join(err, b.heal(ctx))
		}
	}
	b.proof = "the alarm DISK_FULL"
	return b, nil
}

func fillDisk(n *testcluster.Node) error {
	var disk syscall.Statfs_t
	if err := syscall.Statfs(diskOf(n), &disk); err != nil {
		return err
	}
	file, err := os.Create(filepath.Join(diskOf(n), ballastName))
	if err != nil {
		return err
	}
	err = syscall.Fallocate(int(file.Fd()), 0, 0, int64(disk.Bavail)*disk.Bsize-diskBytes/40)
	return errors.Join(err, file.Close())
}
