package admission

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"pipesync/fsm"
)

// Admit validates body in full and decides whether it goes to the log of term. A
// non-nil reply is an encoded fsm.Result that answers without an entry. Otherwise, and
// without an error, release is not nil; only its first call counts. It is given what
// Apply replied, or nil where that isn't known.
//
// A sync that the applied state and its API key's refusals have room for, but not with
// those in flight, waits for them in the order of arrival, no longer than ctx. Errors
// that match ErrBusy, ErrTerm, ErrState or ctx's own say nothing about body; any other
// says why it can't be an entry.
func (g *Gate) Admit(ctx context.Context, term uint64, body []byte) (reply []byte, release func(reply []byte), err error) {
	command, outline, err := fsm.Inspect(body)
	if err != nil {
		return nil, nil, fmt.Errorf("admitting: %w", err)
	}
	t, err := g.tenure(term)
	if err != nil {
		return nil, nil, fmt.Errorf("admitting: %w", err)
	}
	header, err := fsm.DecodeHeader(body)
	if err != nil {
		return nil, nil, fmt.Errorf("admitting: %w", err)
	}
	if command != nil {
		return g.admitOther(header, command)
	}
	return g.admitSync(ctx, t, header, outline)
}

// admitOther refuses what some member of the cluster may not know.
func (g *Gate) admitOther(header fsm.Header, command fsm.Command) ([]byte, func([]byte), error) {
	view, err := g.state.View()
	if err != nil {
		return nil, nil, fmt.Errorf("admitting: %w: %w", ErrState, err)
	}
	defer view.Close()
	refusal, err := view.CheckKind(header, command)
	if err != nil {
		return nil, nil, fmt.Errorf("admitting: %w", err)
	}
	if refusal != nil {
		return refusal.Encode(), nil, nil
	}
	return nil, func([]byte) {}, nil
}

func (g *Gate) admitSync(ctx context.Context, t *tenure, header fsm.Header, outline fsm.Outline) ([]byte, func([]byte), error) {
	line := t.enter(header.Org)
	sync := ticket{key: header.KeyID, bytes: uint64(header.RawBytes)}
	admitted := false
	defer func() {
		if !admitted {
			t.exit(header.Org, line)
		}
	}()
	reply, err := line.pass(ctx, t.ended, sync, func() ([]byte, room, error) { return g.judge(t, header, outline) })
	if err != nil {
		return nil, nil, fmt.Errorf("admitting a sync: %w", err)
	}
	if reply != nil {
		return reply, nil, nil
	}
	admitted = true
	var released atomic.Bool
	return nil, func(reply []byte) {
		if !released.CompareAndSwap(false, true) {
			return
		}
		if isRefusal(reply) { // before it is no longer in flight
			t.refusals.count(header.KeyID, t.now())
		}
		line.release(sync)
		t.exit(header.Org, line)
	}, nil
}

// judge decides about one sync from the applied state as it is now.
func (g *Gate) judge(t *tenure, header fsm.Header, outline fsm.Outline) (refusal []byte, left room, err error) {
	view, err := g.state.View()
	if err != nil {
		return nil, room{}, fmt.Errorf("%w: %w", ErrState, err)
	}
	defer view.Close()
	now := t.now()
	result, has, err := view.CheckSync(header, outline, fsm.Stamp{ClusterTime: now, WallTime: g.clock.Wall().UnixNano()})
	if err != nil {
		return nil, room{}, fmt.Errorf("%w: %w", ErrState, err)
	}
	if result != nil {
		return result.Encode(), room{}, nil
	}
	mayRefuse, wait := t.refusals.left(header.KeyID, now)
	if mayRefuse == 0 {
		result := &fsm.Result{Outcome: fsm.TooManyRefusals, Sync: &fsm.SyncResult{
			SyncID: header.SyncID, Window: has.Window,
			RetryMillis: uint32((wait + int64(time.Millisecond) - 1) / int64(time.Millisecond)),
		}}
		return result.Encode(), room{}, nil
	}
	return nil, room{window: has.Window.Remaining, bytes: has.Bytes, key: mayRefuse}, nil
}
