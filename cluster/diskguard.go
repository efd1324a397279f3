package cluster

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/hashicorp/raft"
)

// maxDiskWait bounds a write to raft.db. A leader whose disk hangs goes on
// sending heartbeats, which need no disk, so that nobody elects another one and
// the cluster stands still (hashicorp/raft issue 503). Its end is what lets the
// others go on.
const maxDiskWait = 10 * time.Second

// diskWaitSteps are waited for one after the other: a process that is stopped for a while,
// as that of a virtual machine may be, has waited no longer than one for its disk.
const diskWaitSteps = 10

// diskGuard watches over the writes to raft.db, and ends the process where going
// on is worse: when a write doesn't return, and when one fails. After a failed
// fsync the kernel may answer the next one with success though the data is gone.
type diskGuard struct {
	fatal func(error)
	wait  time.Duration
}

func newDiskGuard(fatal func(error)) diskGuard { return diskGuard{fatal, maxDiskWait} }

func (g diskGuard) write(doing string, write func() error) error {
	answered := make(chan struct{})
	go g.watch(doing, answered)
	err := write()
	close(answered)
	if err == nil {
		return nil
	}
	err = fmt.Errorf("%s: %w", doing, err)
	// A full disk is no fault: bbolt rolls back and goes on once there is room.
	if !errors.Is(err, syscall.ENOSPC) {
		g.fatal(err)
	}
	return err
}

// watch ends the process if there is no answer for too long.
func (g diskGuard) watch(doing string, answered <-chan struct{}) {
	step := time.NewTicker(g.wait / diskWaitSteps) // it makes up for none that was missed
	defer step.Stop()
	for range diskWaitSteps {
		select {
		case <-step.C:
		case <-answered:
			return
		}
	}
	g.fatal(fmt.Errorf("%s: no answer from the disk for %s: it hangs or is overloaded. This member stops, "+
		"so that the others can go on; look after the disk, then start it again", doing, g.wait))
}

// guardedLog guards the writes to the log.
type guardedLog struct {
	raft.LogStore
	guard diskGuard
}

func (l *guardedLog) StoreLog(e *raft.Log) error { return l.StoreLogs([]*raft.Log{e}) }

func (l *guardedLog) StoreLogs(entries []*raft.Log) error {
	return l.guard.write("appending to the log", func() error { return l.LogStore.StoreLogs(entries) })
}

// DeleteRange may take as long as it likes: freeing many pages is slow, and who
// waits for it to append is guarded.
func (l *guardedLog) DeleteRange(first, last uint64) error {
	err := l.LogStore.DeleteRange(first, last)
	if err != nil {
		err = fmt.Errorf("cutting the log: %w", err)
		if !errors.Is(err, syscall.ENOSPC) {
			l.guard.fatal(err)
		}
	}
	return err
}

// guardedVariables guards the writes of term and vote.
type guardedVariables struct {
	raft.StableStore
	guard diskGuard
}

func (v *guardedVariables) Set(name, value []byte) error {
	return v.guard.write("writing "+string(name), func() error { return v.StableStore.Set(name, value) })
}

func (v *guardedVariables) SetUint64(name []byte, value uint64) error {
	return v.guard.write("writing "+string(name), func() error { return v.StableStore.SetUint64(name, value) })
}
