package cluster

import (
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
)

// unreadableError says that a page of raft.db can't be had.
type unreadableError struct{ cause error }

func (e *unreadableError) Error() string {
	return fmt.Sprintf("raft.db can't be read: %v. Look after the disk, then start this member again; if that doesn't help: "+startCure, e.cause)
}

func (e *unreadableError) Unwrap() error { return e.cause }

func unreadable(err error) bool {
	var e *unreadableError
	return errors.As(err, &e)
}

var errFault = errors.New("the disk fails to read a page of it, or what it has read has rotted")

// mapped makes an error of a fault, and of bbolt's own panics. bbolt reads through memory that the file is mapped to,
// where a failure of the disk isn't an error: Go ends the process on it without a word
// about the disk.
func mapped(do func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		switch r := recover().(type) {
		case nil:
		case interface{ Addr() uintptr }: // what tells a fault from other errors of the runtime
			err = &unreadableError{errFault}
		default:
			err = &unreadableError{fmt.Errorf("bbolt can't make sense of a page, which has rotted: %v", r)}
		}
	}()
	return do()
}

// mappedFile is bbolt's LogFile with errors for faults. After one, bbolt may be left with
// locks that nobody lets go of any more: all that is to be done then is to end the process.
type mappedFile struct {
	*raftboltdb.BoltStore
	pages   *mappedPages
	faulted atomic.Bool
}

func openMapped(options raftboltdb.Options) (f *mappedFile, err error) {
	if _, err := checkPages(options.Path); err != nil {
		return nil, err
	}
	f = &mappedFile{}
	err = mapped(func() (err error) { f.BoltStore, err = raftboltdb.New(options); return err })
	if err != nil {
		return nil, err
	}
	f.pages = pagesOf(f.BoltStore)
	return f, f.do(f.pages.giveBack) // of the walk through it
}

func (f *mappedFile) do(do func() error) error {
	err := mapped(do)
	if unreadable(err) {
		f.faulted.Store(true)
	}
	return err
}

// Close leaves a file open, and its lock with the process, that bbolt may not let go of.
func (f *mappedFile) Close() error {
	if f.faulted.Load() {
		return nil
	}
	return f.BoltStore.Close()
}

func (f *mappedFile) FirstIndex() (index uint64, err error) {
	err = f.do(func() (err error) { index, err = f.BoltStore.FirstIndex(); return err })
	return index, err
}

func (f *mappedFile) LastIndex() (index uint64, err error) {
	err = f.do(func() (err error) { index, err = f.BoltStore.LastIndex(); return err })
	return index, err
}

func (f *mappedFile) GetLog(index uint64, e *raft.Log) error {
	return f.do(func() error {
		if err := f.pages.entry(index, e); err != nil {
			return err
		}
		return f.pages.read(e)
	})
}

// outline implements outliner.
func (f *mappedFile) outline(index uint64) (storedBytes int64, command bool, err error) {
	err = f.do(func() (err error) { storedBytes, command, err = f.pages.outline(index); return err })
	return storedBytes, command, err
}

func (f *mappedFile) StoreLog(e *raft.Log) error { return f.StoreLogs([]*raft.Log{e}) }

func (f *mappedFile) StoreLogs(entries []*raft.Log) error {
	return f.do(func() error { return f.pages.append(entries) })
}

// DeleteRange cuts the beginning of the log in pieces. Where the process ends between two of
// them, the log begins later than before, and has no gap.
func (f *mappedFile) DeleteRange(first, last uint64) error {
	return f.do(func() error {
		oldest, err := f.BoltStore.FirstIndex()
		if err != nil {
			return err
		}
		if first > oldest { // its end: few entries, which nobody has committed
			return errors.Join(f.BoltStore.DeleteRange(first, last), f.pages.giveBack())
		}
		for more := true; more; {
			if more, err = f.pages.cut(last); err != nil {
				return err
			}
		}
		return nil
	})
}

func (f *mappedFile) Set(name, value []byte) error {
	return f.do(func() error { return f.BoltStore.Set(name, value) })
}

func (f *mappedFile) Get(name []byte) (value []byte, err error) {
	err = f.do(func() (err error) { value, err = f.BoltStore.Get(name); return err })
	return value, err
}

func (f *mappedFile) SetUint64(name []byte, value uint64) error {
	return f.do(func() error { return f.BoltStore.SetUint64(name, value) })
}

func (f *mappedFile) GetUint64(name []byte) (value uint64, err error) {
	err = f.do(func() (err error) { value, err = f.BoltStore.GetUint64(name); return err })
	return value, err
}
