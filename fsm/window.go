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
// which it was admitted. With a limit of N, sync number s is admitted when slot
// s−N has left the window, or s < N; admitting it deletes slot s−N. A slot that
// isn't there has therefore left the window, whatever the limit was at the time.
// Slot times never fall, so those in the window are the last few.
type rateWindow struct {
	org    storage.OrgNum
	limit  uint32
	length int64 // nanoseconds
	now    int64 // cluster time, nanoseconds

	admitted uint64 // ever
	counted  uint32 // of the last limit syncs, those in the window
	oldest   int64  // cluster time of the first counted one
}

// readWindow is the only place that decides about rates: Apply and View.Window
// both call it. org may be zero, for an organization that doesn't exist yet.
func readWindow(r storage.Reader, org storage.Org, set storage.Settings, now int64) (*rateWindow, error) {
	w := &rateWindow{
		org:    org.Num,
		limit:  set.RequestsPerWindow,
		length: int64(set.WindowMillis) * nanosPerMilli,
		now:    now,
	}
	if org.RequestsPerWindow != 0 {
		w.limit = org.RequestsPerWindow
	}
	if org.Num == 0 {
		return w, nil
	}
	head, err := r.WindowHead(org.Num)
	if err != nil {
		return nil, fmt.Errorf("read rate window: %w", err)
	}
	w.admitted = head.Admitted
	if err := w.count(r); err != nil {
		return nil, fmt.Errorf("read rate window: %w", err)
	}
	return w, nil
}

// count finds the first of the last limit slots that is in the window.
func (w *rateWindow) count(r storage.Reader) error {
	span := min(uint64(w.limit), w.admitted)
	first := w.admitted - span
	var readErr error
	i := sort.Search(int(span), func(i int) bool {
		t, found, err := r.WindowSlot(w.org, first+uint64(i))
		if err != nil {
			readErr = err
		}
		return found && t > w.now-w.length
	})
	if readErr != nil {
		return readErr
	}
	w.counted = uint32(span) - uint32(i)
	if w.counted == 0 {
		return nil
	}
	t, _, err := r.WindowSlot(w.org, first+uint64(i))
	w.oldest = t
	return err
}

func (w *rateWindow) full() bool { return w.counted >= w.limit }

// admit counts one sync at w.now and writes that to b. The window must not be full.
func (w *rateWindow) admit(b *storage.Batch) {
	b.PutWindowSlot(w.org, w.admitted, w.now)
	if w.admitted >= uint64(w.limit) {
		b.DeleteWindowSlot(w.org, w.admitted-uint64(w.limit))
	}
	if w.counted == 0 {
		w.oldest = w.now
	}
	w.counted++
	w.admitted++
	b.PutWindowHead(w.org, storage.WindowHead{Admitted: w.admitted})
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
