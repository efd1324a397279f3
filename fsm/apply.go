package fsm

import (
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/hashicorp/raft"

	"pipesync/internal/planted"
	"pipesync/storage"
)

// Apply decides one committed entry and writes all that follows from it, the
// applied index included, in one batch. Its response is the encoded Result; nil
// for an entry that was applied before; or, for an entry stamped in another
// term than the log's, an error with NotApplied() == true. Everything else
// that can happen calls Options.Fatal, and then Apply doesn't return: raft
// counts any response as applied.
func (f *FSM) Apply(l *raft.Log) any {
	reply, err := f.applyRecovering(l)
	var fenced *notAppliedError
	if errors.As(err, &fenced) {
		return fenced
	}
	if err != nil {
		f.die(fmt.Errorf("apply entry %d of term %d: %w", l.Index, l.Term, err))
	}
	if reply == nil {
		return nil
	}
	return reply
}

// applyRecovering turns a panic into an error. It must be recovered here: raft
// answers the entry in a deferred call of its own when one passes through.
func (f *FSM) applyRecovering(l *raft.Log) (reply []byte, err error) {
	defer func() {
		if r := recover(); r != nil {
			reply, err = nil, fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	return f.applyEntry(l)
}

func (f *FSM) applyEntry(l *raft.Log) ([]byte, error) {
	f.applying.Lock()
	defer f.applying.Unlock()
	if l.Index <= f.system.AppliedIndex {
		return nil, nil
	}
	stamp, err := DecodeStamp(l.Extensions, l.Data)
	if err != nil {
		return nil, explain(err)
	}
	if stamp.Term != l.Term && !planted.Is(planted.NoTermFence) {
		return nil, &notAppliedError{fmt.Sprintf("entry %d was stamped in term %d and appended in term %d", l.Index, stamp.Term, l.Term)}
	}
	cmd, err := decodeEntry(l.Data)
	if err != nil {
		return nil, explain(err)
	}
	if e, ok := cmd.(*syncEntry); ok {
		defer e.release() // the batch and the result have copies
	}
	h := f.handle()
	tx := &transaction{
		db:     h.db,
		batch:  h.db.NewBatch(),
		system: f.system,
		index:  l.Index,
		bounds: f.opts.Bounds,
		wall:   stamp.WallTime,
		kind:   Kind(l.Data[0]),

		noteVersion: func(v uint32) error { return writeVersion(f.disk, f.opts.Dir, v) },
	}
	tx.system.AppliedIndex, tx.system.AppliedTerm = l.Index, l.Term
	tx.system.ClusterTime = max(tx.system.ClusterTime, stamp.ClusterTime)
	result, err := tx.decide(cmd)
	if err == nil {
		if planted.Is(planted.IndexAlone) {
			if err := tx.batch.Commit(); err != nil {
				return nil, err
			}
			tx.batch = h.db.NewBatch()
		}
		tx.batch.SetSystem(&tx.system)
		err = tx.batch.Commit()
	}
	if err := errors.Join(err, tx.batch.Close()); err != nil {
		return nil, err
	}
	f.countUnflushed(h, len(l.Data)+len(l.Extensions))
	f.publish(tx.system)
	f.opts.Decided(tx.kind, result.Outcome)
	if tx.marked != nil {
		f.opts.Marked(*tx.marked)
	}
	return result.Encode(), nil
}

// explain adds the cure to an error of decoding a committed entry.
func explain(err error) error {
	if errors.Is(err, ErrCorrupt) {
		return fmt.Errorf("%w: this node's log has rotted; %s", err, rotCure)
	}
	return err
}

// transaction is one entry's decision: reads see the state before the entry.
type transaction struct {
	db     storage.Reader
	batch  *storage.Batch
	system storage.System // as it will be after the entry
	index  uint64
	bounds Bounds
	wall   int64 // entry wall time
	kind   Kind
	marked *Marked // by a Mark

	// noteVersion returns when the directory says that it may have a state of the
	// cluster version.
	noteVersion func(uint32) error
}

func (tx *transaction) decide(cmd deciding) (*Result, error) {
	if _, first := cmd.(*Bootstrap); tx.system.ClusterID == "" && !first {
		result := tx.refuse(NotBootstrapped)
		if e, ok := cmd.(*syncEntry); ok {
			result.Sync = &SyncResult{SyncID: e.SyncID}
		}
		return result, nil
	}
	if tooNew(tx.kind, tx.system) {
		return tx.refuse(VersionTooLow), nil
	}
	return cmd.decide(tx)
}

func (tx *transaction) refuse(o Outcome) *Result { return &Result{Outcome: o, Index: tx.index} }

func (tx *transaction) done(created bool) *Result {
	return &Result{Outcome: OK, Index: tx.index, Created: created}
}
