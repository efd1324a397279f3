package fsm

import (
	"fmt"
	"math"
	"sort"

	"pipesync/storage"
)

const nanosPerMilli = 1_000_000

// rateWindow is an organization's rate window at one moment of cluster time.
//
// Every admitted sync has a sequence number and a slot with the cluster time at
// which it was admitted. Slot times never fall, so those in the window are the
// last few, and with a limit of N the slot N back decides. A slot is forgotten
// once it isn't among the last N and has left the window: so while the window's
// length stays, what is forgotten doesn't count, whatever becomes of the limit.
// A window that was made longer may reach back to forgotten slots. It then counts
// all of them as if they were as new as the newest: too many, for as long as
// that one is in the window, and never too few.
type rateWindow struct {
	org    storage.OrgNum
	limit  uint32
	length int64 // nanoseconds
	now    int64 // cluster time, nanoseconds
	head   storage.WindowHead

	counted uint32 // of the last limit syncs, those in the window
	oldest  int64  // cluster time of the first counted one
}

// readWindow is the only place that decides about rates: Apply and View.Window
// both call it. org may be zero, for an organization that doesn't exist yet.
func readWindow(r storage.Reader, org storage.Org, set storage.Settings, now int64) (*rateWindow, error) {
	w := &rateWindow{
		org:    org.Num,
		limit:  limitsOf(org, set).RequestsPerWindow,
		length: int64(set.WindowMillis) * nanosPerMilli,
		now:    now,
	}
	if org.Num == 0 {
		return w, nil
	}
	var err error
	if w.head, err = r.WindowHead(org.Num); err == nil {
		err = w.count(r)
	}
	if err != nil {
		return nil, fmt.Errorf("read rate window: %w", err)
	}
	return w, nil
}

// count finds the first slot that is in the window, or may be.
func (w *rateWindow) count(r storage.Reader) error {
	var readErr error
	first := w.head.First + uint64(sort.Search(int(w.head.Admitted-w.head.First), func(i int) bool {
		t, err := w.slot(r, w.head.First+uint64(i))
		if err != nil {
			readErr = err
		}
		return w.counts(t)
	}))
	if readErr != nil {
		return readErr
	}
	if w.head.First > 0 && w.counts(w.head.Forgotten) {
		first = 0
	}
	w.counted = uint32(min(w.head.Admitted-first, uint64(w.limit)))
	if w.counted == 0 {
		return nil
	}
	oldest, err := w.slot(r, w.head.Admitted-uint64(w.counted))
	w.oldest = oldest
	return err
}

// counts says whether a sync that was admitted at t is in the window.
func (w *rateWindow) counts(t int64) bool { return t > w.now-w.length }

// slot is the cluster time of a slot, of a forgotten one the latest that it may
// have had.
func (w *rateWindow) slot(r storage.Reader, seq uint64) (int64, error) {
	if seq < w.head.First {
		return w.head.Forgotten, nil
	}
	t, found, err := r.WindowSlot(w.org, seq)
	if err == nil && !found {
		err = fmt.Errorf("%w: no window slot %d of organization %d", storage.ErrCorrupt, seq, w.org)
	}
	return t, err
}

func (w *rateWindow) full() bool { return w.counted >= w.limit }

// forgottenPerSync bounds the slots that one sync forgets. It is more than the
// one that it adds, so that those of a limit that was higher don't stay.
const forgottenPerSync = 2

// admit counts one sync at w.now and writes that to b. The window must not be full.
func (w *rateWindow) admit(r storage.Reader, b *storage.Batch) error {
	for range forgottenPerSync {
		if w.head.Admitted-w.head.First < uint64(w.limit) {
			break
		}
		t, err := w.slot(r, w.head.First)
		if err != nil {
			return fmt.Errorf("count a sync: %w", err)
		}
		if w.counts(t) {
			break
		}
		b.DeleteWindowSlot(w.org, w.head.First)
		w.head.First++
		w.head.Forgotten = t
	}
	b.PutWindowSlot(w.org, w.head.Admitted, w.now)
	w.head.Admitted++
	b.PutWindowHead(w.org, w.head)
	if w.counted == 0 {
		w.oldest = w.now
	}
	w.counted++
	return nil
}

func (w *rateWindow) window() Window {
	out := Window{
		Limit:        w.limit,
		Remaining:    w.limit - w.counted,
		WindowMillis: uint32(w.length / nanosPerMilli),
	}
	if w.counted > 0 {
		left := w.oldest + w.length - w.now
		out.ResetMillis = uint32(min((left+nanosPerMilli-1)/nanosPerMilli, math.MaxUint32))
	}
	return out
}
