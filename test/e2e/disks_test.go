package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"pipesync/client"
	"pipesync/internal/netns"
	"pipesync/internal/testcluster"
)

// disksEnv tells a test that the mounts which it makes are its own.
const disksEnv = "PIPESYNC_TEST_DISKS"

// onDisks runs body where nobody else sees what it mounts, and all of it is gone with
// the last process: in another process, which is this program with t alone.
func onDisks(t *testing.T, body func(t *testing.T)) {
	t.Helper()
	switch {
	case os.Getenv(disksEnv) != "":
		body(t)
	case os.Getuid() != 0:
		netns.Unavailable(t, errors.New("disks of its own need root"))
	default:
		netns.Elsewhere(t, []string{"unshare", "--mount"}, testcluster.BinaryEnv+"="+binary, disksEnv+"=1")
	}
}

// diskBytes of each disk. Its watermark is a twentieth.
const diskBytes = 256 << 20

func command(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), args[0], args[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%q: %v: %s", args, err, out)
	}
}

// memoryDisk mounts one in memory.
func memoryDisk(t *testing.T, at string) {
	t.Helper()
	command(t, "mount", "-t", "tmpfs", "-o", fmt.Sprintf("size=%d,mode=700", diskBytes), "tmpfs", at)
}

// fileDisk mounts one that is a file beside it.
func fileDisk(t *testing.T, at string) {
	t.Helper()
	image := at + ".ext4"
	if err := errors.Join(os.WriteFile(image, nil, 0o600), os.Truncate(image, diskBytes)); err != nil {
		t.Fatal(err)
	}
	command(t, "mkfs.ext4", "-q", "-F", image)
	if out, err := exec.CommandContext(t.Context(), "mount", "-o", "loop", image, at).CombinedOutput(); err != nil {
		netns.Unavailable(t, fmt.Errorf("a file as a disk needs loop devices: %w: %s", err, out))
	}
}

// clusterOnDisks starts three nodes, so many of them on disks of their own.
func clusterOnDisks(t *testing.T, n int, mount func(t *testing.T, at string)) *suite {
	t.Helper()
	dir := t.TempDir()
	for i := range n {
		at := filepath.Join(dir, fmt.Sprintf("node-%d", i+1))
		if err := os.Mkdir(at, 0o700); err != nil {
			t.Fatal(err)
		}
		mount(t, at)
		t.Cleanup(func() { _ = syscall.Unmount(at, syscall.MNT_DETACH) })
	}
	return newSuite(t, testcluster.New(t, testcluster.Config{Binary: binary, Dir: dir, Nodes: 3}), 2*testDeadline)
}

// fill leaves less room on n's disk than the watermark, as another program would, and
// returns what frees it again.
func (s *suite) fill(n *testcluster.Node) (free func()) {
	s.Helper()
	var disk syscall.Statfs_t
	s.must(syscall.Statfs(n.Dir, &disk))
	ballast := filepath.Join(n.Dir, "ballast")
	file, err := os.Create(ballast)
	s.must(err)
	s.must(syscall.Fallocate(int(file.Fd()), 0, 0, int64(disk.Bavail)*disk.Bsize-diskBytes/40))
	s.must(file.Close())
	return func() { s.must(os.Remove(ballast)) }
}

// The leader's disk runs full: another leads, and writes go on. All run full: reads go
// on. Once there is room again, so do writes, and no process was started anew.
func TestFullDisks(t *testing.T) {
	t.Parallel()
	onDisks(t, func(t *testing.T) {
		s := clusterOnDisks(t, 3, memoryDisk)
		tn := s.tenant(s.Nodes[0])
		before := make([]*testcluster.Process, len(s.Nodes))
		for i, n := range s.Nodes {
			before[i] = n.Process()
		}
		written := 0
		write := func(ctx context.Context, through *testcluster.Node) error {
			_, err := s.as(tn, through).Sync(ctx, tn.batch(client.Incremental, upsert("ns", fmt.Sprint(written), `{}`)))
			if err == nil {
				written++
			}
			return err
		}

		full := s.leader()
		freeFirst := s.fill(full)
		s.await("another leader", func(ctx context.Context) error {
			status, err := s.admin(full).Status(ctx)
			if err == nil && (status.Leader == nil || status.Leader.ID == full.ID) {
				err = fmt.Errorf("%+v leads", status.Leader)
			}
			return err
		})
		for _, n := range s.Nodes {
			s.await("a sync through "+n.ID+" while one disk is full", func(ctx context.Context) error { return write(ctx, n) })
		}

		frees := []func(){freeFirst}
		for _, n := range s.Nodes {
			if n != full {
				frees = append(frees, s.fill(n))
			}
		}
		s.await("a refusal while all disks are full", func(ctx context.Context) error {
			var refused *client.Error
			if err := write(ctx, full); !errors.As(err, &refused) || refused.Code != "DISK_FULL" {
				return fmt.Errorf("the answer is %w", err)
			}
			return nil
		})
		for _, n := range s.Nodes {
			if got := s.all(n, tn, "ns"); len(got) != written {
				t.Errorf("%s shows %d records of %d while all disks are full", n.ID, len(got), written)
			}
		}

		for _, free := range frees {
			free()
		}
		for i, n := range s.Nodes {
			s.await("a sync through "+n.ID+" with room again", func(ctx context.Context) error { return write(ctx, n) })
			if n.Process() != before[i] || !n.Running() {
				t.Errorf("%s was started anew", n.ID)
			}
		}
		if got := s.all(full, tn, "ns"); len(got) != written {
			t.Errorf("%d records of %d", len(got), written)
		}
	})
}

// The disk of the leader hangs: no write to it returns. Its process gives up, another
// leads, and writes go on through the others.
func TestAHungDiskOfTheLeader(t *testing.T) {
	t.Parallel()
	onDisks(t, func(t *testing.T) {
		s := clusterOnDisks(t, 1, fileDisk)
		tn := s.tenant(s.Nodes[0])
		hung := s.Nodes[0]
		if s.leader() != hung {
			_, err := s.admin(hung).TransferLeadership(s.ctx, hung.ID)
			s.must(err)
		}
		write := func(ctx context.Context, id string) error {
			ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
			defer cancel()
			_, err := s.as(tn, s.Nodes[1]).Sync(ctx, tn.batch(client.Incremental, upsert("ns", id, `{}`)))
			return err
		}
		s.await("a sync before", func(ctx context.Context) error { return write(ctx, "before") })

		// Whoever writes to a frozen file system can't be ended: another process thaws
		// it, whatever becomes of this one.
		timer := exec.Command("sh", "-c", "sleep 60; fsfreeze --unfreeze "+hung.Dir)
		timer.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		s.must(timer.Start())
		defer func() { _ = syscall.Kill(-timer.Process.Pid, syscall.SIGKILL); _ = timer.Wait() }()
		thaw := func() { command(t, "fsfreeze", "--unfreeze", hung.Dir) }
		command(t, "fsfreeze", "--freeze", hung.Dir)
		began := time.Now()
		s.await("a sync while the disk of the leader hangs", func(ctx context.Context) error { return write(ctx, "during") })
		t.Logf("writes went on %v after the disk began to hang", time.Since(began).Round(100*time.Millisecond))

		thaw()
		select {
		case <-hung.Process().Exited():
		case <-s.ctx.Done():
			t.Fatal("the process goes on")
		}
		s.must(hung.Restart(s.ctx))
		if got := s.all(hung, tn, "ns"); len(got) != 2 {
			t.Errorf("%d records of 2 after the disk is back", len(got))
		}
	})
}
