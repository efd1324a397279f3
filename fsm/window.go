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
//
// A slot has the bytes of all syncs before it, and the head those of all: what is
// between the first slot in the window and the head are the bytes in the window.
// Where forgotten slots may be in the window, all bytes that ever were count.
type rateWindow struct {
	org        storage.OrgNum
	limit      uint32
	limitBytes uint64 // 0: none
	length     int64  // nanoseconds
	now        int64  // cluster time, nanoseconds
	head       storage.WindowHead

	counted uint32 // of the last limit syncs, those in the window
	oldest  int64  // cluster time of the first counted one
	bytes   uint64 // of all syncs in the window
}

// readWindow is the only place that decides about rates: Apply and View.Window
// both call it. org may be zero, for an organization that doesn't exist yet.
func readWindow(r storage.Reader, org storage.Org, set storage.Settings, now int64) (*rateWindow, error) {
	limits := limitsOf(org, set)
	w := &rateWindow{
		org:        org.Num,
		limit:      limits.RequestsPerWindow,
		limitBytes: limits.BytesPerWindow,
		length:     int64(set.WindowMillis) * nanosPerMilli,
		now:        now,
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
	first, err := w.firstCounted(r)
	if err != nil {
		return err
	}
	if w.head.First > 0 && w.counts(w.head.Forgotten) {
		first = 0
	}
	w.counted = uint32(min(w.head.Admitted-first, uint64(w.limit)))
	if w.counted == 0 {
		return nil
	}
	oldest, err := w.slot(r, w.head.Admitted-uint64(w.counted))
	if err != nil {
		return err
	}
	w.oldest = oldest.At
	start, err := w.slot(r, first)
	w.bytes = w.head.Bytes - start.Before
	return err
}

// firstCounted is the first slot that is there and in the window, or the one to come.
// Of an organization that has been busy for less than a window it is the first of all.
func (w *rateWindow) firstCounted(r storage.Reader) (uint64, error) {
	var readErr error
	counts := func(i int) bool {
		slot, err := w.slot(r, w.head.First+uint64(i))
		if err != nil {
			readErr = err
		}
		return w.counts(slot.At)
	}
	slots, first := int(w.head.Admitted-w.head.First), 0
	if slots > 0 && !counts(0) {
		first = 1 + sort.Search(slots-1, func(i int) bool { return counts(1 + i) })
	}
	return w.head.First + uint64(first), readErr
}

// counts says whether a sync that was admitted at t is in the window.
func (w *rateWindow) counts(t int64) bool { return t > w.now-w.length }

// slot is a slot; of a forgotten one the latest time that it may have had, and no
// bytes before it.
func (w *rateWindow) slot(r storage.Reader, seq uint64) (storage.WindowSlot, error) {
	if seq < w.head.First {
		return storage.WindowSlot{At: w.head.Forgotten}, nil
	}
	slot, found, err := r.WindowSlot(w.org, seq)
	if err == nil && !found {
		err = fmt.Errorf("%w: no window slot %d of organization %d", storage.ErrCorrupt, seq, w.org)
	}
	return slot, err
}

func (w *rateWindow) full() bool { return w.counted >= w.limit }

// roomBytes are the bytes that the window would admit.
func (w *rateWindow) roomBytes() uint64 {
	if w.limitBytes == 0 {
		return math.MaxUint64
	}
	return w.limitBytes - min(w.bytes, w.limitBytes)
}

// untilRoom is how long, in nanoseconds, until the window has room for so many bytes,
// of which it has too little now, though no more than it may have; if nothing is
// admitted before.
func (w *rateWindow) untilRoom(r storage.Reader, bytes uint64) (wait int64, err error) {
	if w.full() {
		wait = w.oldest + w.length - w.now
	}
	// There is room once all slots before the first with so many bytes before it have
	// left.
	before := w.head.Bytes + bytes - w.limitBytes
	var readErr error
	first := w.head.First + uint64(sort.Search(int(w.head.Admitted-w.head.First), func(i int) bool {
		slot, err := w.slot(r, w.head.First+uint64(i))
		if err != nil {
			readErr = err
		}
		return slot.Before >= before
	}))
	if readErr != nil {
		return 0, readErr
	}
	last, err := w.slot(r, first-1)
	return max(wait, last.At+w.length-w.now), err
}

// forgottenPerSync bounds the slots that one sync forgets. It is more than the
// one that it adds, so that those of a limit that was higher don't stay.
const forgottenPerSync = 2

// admit counts one sync of so many bytes at w.now and writes that to b. The window must not be full.
func (w *rateWindow) admit(r storage.Reader, b *storage.Batch, bytes uint64) error {
	for range forgottenPerSync {
		if w.head.Admitted-w.head.First < uint64(w.limit) {
			break
		}
		slot, err := w.slot(r, w.head.First)
		if err != nil {
			return fmt.Errorf("count a sync: %w", err)
		}
		if w.counts(slot.At) {
			break
		}
		b.DeleteWindowSlot(w.org, w.head.First)
		w.head.First++
		w.head.Forgotten = slot.At
	}
	b.PutWindowSlot(w.org, w.head.Admitted, storage.WindowSlot{At: w.now, Before: w.head.Bytes})
	w.head.Admitted++
	w.head.Bytes += bytes
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
		out.ResetMillis = wholeMillis(left)
	}
	return out
}

// wholeMillis rounds nanoseconds up to milliseconds.
func wholeMillis(nanos int64) uint32 {
	return uint32(min((nanos+nanosPerMilli-1)/nanosPerMilli, math.MaxUint32))
}
