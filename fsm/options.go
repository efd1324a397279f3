package fsm

import (
	"errors"
	"log/slog"

	"pipesync/storage"
)

// Options are how a state machine is opened.
type Options struct {
	// Dir holds the state; it is made where it is missing. That its parent
	// survives a crash is the caller's business.
	Dir string
	// Logger gets what storage has to say. Nil: none.
	Logger *slog.Logger
	// CacheBytes is memory for what was read or written last; 0 means storage's
	// default.
	CacheBytes int64
	// Fatal is told why the state machine can't go on: an entry that can't be
	// applied, a storage failure, a restore that failed half-way. It ends the
	// process and must not return; where it does, the caller waits for ever, so
	// that no response is ever told for the entry. Mandatory.
	Fatal func(error)
	// Observe is called after each entry that this process applied, before
	// Applied tells it, with the entry's Raft index and the effective cluster
	// time in nanoseconds. Nil: none.
	Observe func(index uint64, clusterTime int64)

	// Marked is called after each Mark that this process applied, once Applied tells
	// it and before the next entry: a View opened meanwhile is of exactly that
	// state. Raft waits for it. Nil: none.
	Marked func(Marked)

	// Decided is called after each entry that this process applied, with its kind and
	// what became of it. Nil: none.
	Decided func(Kind, Outcome)

	// Restored is called when a snapshot has taken the place of the state, before
	// the next entry. Nil: none.
	Restored func()

	// FS is for tests alone, which put one here that can crash or fail; nil means
	// the operating system's.
	FS storage.FS

	// MemtableBytes is storage's, for tests alone.
	MemtableBytes uint64

	// Bounds are for tests alone; the zero ones mean the default.
	Bounds Bounds
}

func (o *Options) complete() error {
	if o.Dir == "" {
		return errors.New("no directory")
	}
	if o.Fatal == nil {
		return errors.New("no Fatal")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.FS == nil {
		o.FS = storage.OSFS()
	}
	if o.Bounds == (Bounds{}) {
		o.Bounds = defaultBounds
	}
	if o.Observe == nil {
		o.Observe = func(uint64, int64) {}
	}
	if o.Decided == nil {
		o.Decided = func(Kind, Outcome) {}
	}
	if o.Restored == nil {
		o.Restored = func() {}
	}
	if o.Marked == nil {
		o.Marked = func(Marked) {}
	}
	return nil
}
