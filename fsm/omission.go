package fsm

import (
	"fmt"

	"pipesync/storage"
)

const (
	// A sync with fewer bytes of contents has them all in its entry.
	minOmissionBytes = 1 << 10
	// omissionSample of a sync's operations say whether it is worth while to look at all of
	// them: where half of them or more leave their records as they are.
	omissionSample = 64
	// omissionLook is for how many records are looked at once: Apply waits meanwhile.
	omissionLook = 256
)

// OmitContents marks those upserts of an incremental sync whose records have their contents
// already, so that the entry has no more of these than their hashes: what a pipeline pushes
// again is written to no log. Apply decides as it would with all contents, or else, where
// a record has changed since what f has applied, refuses the sync with ContentsOmitted; then
// RestoreContents and propose it again, under the same request id. The operations keep
// their contents. What s is for must be set, and all that SetIdempotencyKey hashes.
// Errors are as of Key, or Encode's.
func (f *FSM) OmitContents(s *Sync) error {
	if s.Mode != Incremental || s.contentBytes() < minOmissionBytes {
		return nil
	}
	err := f.latest(func(r storage.Reader) error {
		store, found, err := readStore(r, s.Org, s.Store)
		if err != nil || !found {
			return err
		}
		if worth, err := worthOmitting(r, store.Num, s); err != nil || !worth {
			return err
		}
		return visitUnchanged(r, store.Num, s, s.omit)
	})
	if err != nil {
		return fmt.Errorf("omit contents: %w", err)
	}
	return nil
}

// omit marks an operation of s, if it has a content.
func (s *Sync) omit(op *Operation) {
	if n := op.omissible(); n > 0 {
		op.Omitted = true
		s.OmittedBytes += uint32(n)
	}
}

// RestoreContents takes back what OmitContents has done.
func (s *Sync) RestoreContents() {
	for i := range s.Operations {
		s.Operations[i].Omitted = false
	}
	s.OmittedBytes = 0
}

func (s *Sync) contentBytes() (n int) {
	for i := range s.Operations {
		n += s.Operations[i].omissible()
	}
	return n
}

// omissible are the bytes that an entry would have less without the content.
func (op *Operation) omissible() int {
	if op.Action != Upsert {
		return 0
	}
	return op.contentBytes() - len(op.Hash)
}

// worthOmitting looks at a sample of the operations.
func worthOmitting(r storage.Reader, store storage.StoreNum, s *Sync) (bool, error) {
	if len(s.Operations) <= omissionSample {
		return true, nil
	}
	sample := *s
	sample.Operations = make([]Operation, omissionSample)
	for i := range sample.Operations {
		sample.Operations[i] = s.Operations[i*len(s.Operations)/omissionSample]
	}
	unchanged := 0
	err := visitUnchanged(r, store, &sample, func(*Operation) { unchanged++ })
	return unchanged >= omissionSample/2, err
}

// visitUnchanged visits the operations that decide about their records and leave them as
// they are.
func visitUnchanged(r storage.Reader, store storage.StoreNum, s *Sync, visit func(*Operation)) error {
	plan, err := planSync(s)
	if err != nil {
		return err
	}
	e := &syncEntry{Sync: *s, names: plan.names, nsOf: plan.nsOf, memory: syncMemories.Get().(*syncMemory)}
	defer e.release()
	for last := e.lastOperations(); len(last) > 0; {
		ns, n := e.nsOf[last[0]], 1
		for n < min(len(last), omissionLook) && e.nsOf[last[n]] == ns {
			n++
		}
		part := last[:n]
		last = last[n:]
		row, found, err := r.Namespace(store, e.names[ns])
		if err != nil {
			return err
		}
		if !found || row.Live == 0 {
			continue
		}
		err = r.Fingerprints(store, row.Num, row.Live, e.idsOf(part), func(i int, f storage.Fingerprint, found bool) error {
			if op := &s.Operations[part[i]]; (&oldRow{f, found}).sameAs(op) {
				visit(op)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
