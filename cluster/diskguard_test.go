package cluster

import (
	"errors"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
)

// stuckDisk answers a write when it is let go, with its error.
type stuckDisk struct {
	raft.LogStore
	raft.StableStore
	let chan error
}

func (d stuckDisk) StoreLogs([]*raft.Log) error    { return <-d.let }
func (d stuckDisk) Set(_, _ []byte) error          { return <-d.let }
func (d stuckDisk) SetUint64([]byte, uint64) error { return <-d.let }
func (d stuckDisk) DeleteRange(_, _ uint64) error  { return <-d.let }

// writes are all that Raft ever does to raft.db and waits for.
func (d stuckDisk) writes(fatal func(error)) map[string]func() error {
	guard := newDiskGuard(fatal)
	log := &sealedLog{LogStore: &guardedLog{d, guard}}
	variables := &sealedVariables{store: &guardedVariables{d, guard}}
	return map[string]func() error{
		"appending to the log":  func() error { return log.StoreLogs(testEntries(3)) },
		"appending to the log ": func() error { return log.StoreLog(testEntries(1)[0]) },
		"writing CurrentTerm":   func() error { return variables.SetUint64([]byte("CurrentTerm"), 1) },
		"writing LastVoteCand":  func() error { return variables.Set([]byte("LastVoteCand"), []byte("n1")) },
	}
}

func TestHungDiskEndsTheProcess(t *testing.T) {
	for doing := range (stuckDisk{}).writes(nil) {
		synctest.Test(t, func(t *testing.T) {
			d := stuckDisk{let: make(chan error)}
			told := make(chan error, 1)
			done := make(chan error, 1)
			go func() { done <- d.writes(func(err error) { told <- err })[doing]() }()
			time.Sleep(maxDiskWait - time.Nanosecond)
			synctest.Wait()
			if len(told) > 0 {
				t.Errorf("%s: told before %s: %v", doing, maxDiskWait, <-told)
			}
			time.Sleep(time.Nanosecond)
			synctest.Wait()
			select {
			case err := <-told:
				if !strings.Contains(err.Error(), strings.TrimSpace(doing)) || !strings.Contains(err.Error(), "no answer from the disk for 10s") {
					t.Errorf("%s: %v", doing, err)
				}
			default:
				t.Errorf("%s: nothing was told", doing)
			}
			d.let <- nil
			<-done
		})
	}
}

func TestDiskThatAnswersIsLeftAlone(t *testing.T) {
	for doing := range (stuckDisk{}).writes(nil) {
		synctest.Test(t, func(t *testing.T) {
			d := stuckDisk{let: make(chan error)}
			write := d.writes(func(err error) { t.Errorf("%s: told: %v", doing, err) })[doing]
			for _, answer := range []error{nil, syscall.ENOSPC} {
				done := make(chan error, 1)
				go func() { done <- write() }()
				time.Sleep(maxDiskWait - time.Nanosecond)
				d.let <- answer
				if err := <-done; !errors.Is(err, answer) {
					t.Errorf("%s: %v, want %v", doing, err, answer)
				}
				time.Sleep(2 * maxDiskWait) // the alarm is off
			}
		})
	}
}

func TestFailedWriteEndsTheProcess(t *testing.T) {
	d := stuckDisk{let: make(chan error, 1)}
	var told []error
	fatal := func(err error) { told = append(told, err) }
	writes := d.writes(fatal)
	writes["cutting the log"] = func() error { return (&guardedLog{d, newDiskGuard(fatal)}).DeleteRange(1, 2) }
	for doing, write := range writes {
		told = nil
		d.let <- syscall.EIO
		if err := write(); !errors.Is(err, syscall.EIO) {
			t.Errorf("%s: %v", doing, err)
		}
		if len(told) != 1 || !strings.Contains(told[0].Error(), strings.TrimSpace(doing)) {
			t.Errorf("%s: told %v", doing, told)
		}
	}
}
