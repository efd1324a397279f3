package cluster

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/hashicorp/raft"
)

// rotError says that the disk gives back something else than was written. What
// was stored had been acknowledged, by a vote or to a leader that may have
// counted it towards a commit. A member that forgot it and went on could let a
// majority forget it, so nothing is cut off and nothing repaired in place.
type rotError struct {
	what  string
	cause error
}

func (e *rotError) Error() string {
	return fmt.Sprintf("%s in raft.db has rotted: %v. It had been acknowledged, so this member must not go on without it: "+
		startCure, e.what, e.cause)
}

func (e *rotError) Unwrap() error { return e.cause }

// rotAlarm is told of rot, and of what can't be read. Until Raft has started, the failed
// read is enough to stop the start; afterwards the process has to end.
type rotAlarm struct {
	fatal   func(error)
	started atomic.Bool
}

func (a *rotAlarm) rotten(what string, cause error) error {
	return a.tell(&rotError{what, cause})
}

func (a *rotAlarm) tell(err error) error {
	if a.started.Load() {
		a.fatal(err)
	}
	return err
}

// read is given the error of a read, or nil, and returns it.
func (a *rotAlarm) read(err error) error {
	if unreadable(err) {
		return a.tell(err)
	}
	return err
}

// sealedLog seals every entry that it stores, and gives out none that it can't
// open.
type sealedLog struct {
	raft.LogStore
	alarm *rotAlarm
	// floor is the index of the newest snapshot. Entries up to it may be missing.
	floor func() (uint64, error)

	cutsBegun, cutsEnded atomic.Int64
}

func (l *sealedLog) StoreLog(e *raft.Log) error { return l.StoreLogs([]*raft.Log{e}) }

func (l *sealedLog) StoreLogs(entries []*raft.Log) error {
	sealed := make([]*raft.Log, len(entries))
	for i, e := range entries {
		sealed[i] = sealEntry(e)
	}
	return l.LogStore.StoreLogs(sealed)
}

func (l *sealedLog) DeleteRange(first, last uint64) error {
	l.cutsBegun.Add(1)
	defer l.cutsEnded.Add(1)
	return l.LogStore.DeleteRange(first, last)
}

func (l *sealedLog) FirstIndex() (uint64, error) {
	index, err := l.LogStore.FirstIndex()
	return index, l.alarm.read(err)
}

func (l *sealedLog) LastIndex() (uint64, error) {
	index, err := l.LogStore.LastIndex()
	return index, l.alarm.read(err)
}

// GetLog fails with raft.ErrLogNotFound only where the log may lack the entry.
func (l *sealedLog) GetLog(index uint64, out *raft.Log) error {
	cuts := l.cutsEnded.Load()
	var e raft.Log
	err := l.read(index, &e)
	if unreadable(err) {
		return l.alarm.tell(fmt.Errorf("reading entry %d of the log: %w", index, err))
	}
	if errors.Is(err, raft.ErrLogNotFound) {
		hole, herr := l.isHole(index, cuts)
		if herr != nil {
			return herr
		}
		if !hole {
			return raft.ErrLogNotFound // unwrapped: Raft compares with ==
		}
		err = errors.New("it is missing, though the log goes on after it")
	} else if err == nil {
		err = openEntry(&e, index)
	}
	if err != nil {
		return l.alarm.rotten(fmt.Sprintf("entry %d of the log", index), err)
	}
	*out = e
	return nil
}

// read makes bbolt's panics errors: that is how it reports a page that it can't
// make sense of.
func (l *sealedLog) read(index uint64, e *raft.Log) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("reading it: %v", r)
		}
	}()
	return l.LogStore.GetLog(index, e)
}

// isHole reports whether an entry that was not found should be there: it is
// neither covered by a snapshot nor beyond the end. cuts is how many cuts had
// ended before the read; one that ran since may have taken the entry.
func (l *sealedLog) isHole(index uint64, cuts int64) (bool, error) {
	last, err := l.LastIndex()
	if err != nil || index > last {
		return false, err
	}
	floor, err := l.floor()
	if err != nil || index <= floor {
		return false, err
	}
	return l.cutsBegun.Load() == cuts, nil
}
