package cluster

import (
	"context"
	"errors"

	"github.com/hashicorp/raft"
)

// maxUnappliedBytes of entries may be committed here and not yet applied. Raft
// bounds them by number alone: some thousands, which may have megabytes each.
const maxUnappliedBytes = 64 << 20

// errHeld is the answer to entries that the leader has given up on.
var errHeld = errors.New("too many entries are waiting to be applied")

// backlog is between the transport and Raft. It holds a request with entries back
// while more than max bytes of those before it are committed and not applied;
// everything else passes: heartbeats, votes, snapshots, commit indexes.
//
// Only what is committed counts. It will be applied whatever comes, so that no
// request is held for ever. What isn't committed may wait for the very request
// that would be held, and is bounded at the leader.
type backlog struct {
	from      <-chan raft.RPC
	to        chan raft.RPC
	committed func() uint64
	applied   func() uint64
	term      func() uint64
	state     func() raft.RaftState
	progress  *progress
	max       int64
	heard     *heard
	hangUp    func() // closes all of Raft's connections to this node

	entries []arrived // by index
	skipped int       // restores that were seen
	held    *raft.RPC // at most one: see take

	// heartbeats has an element while Raft handles one, and during handOver. It is no lock, so
	// that a simulated clock goes on while somebody waits for it.
	heartbeats chan struct{}
	turned     chan raft.RPC // heartbeats that Raft's main loop is to handle
	began      chan struct{} // closed when run begins
	ended      chan struct{} // closed when run ends
}

// arrived is an entry that went to Raft. What is applied is dropped.
type arrived struct {
	index uint64
	bytes int64
}

func newBacklog(from <-chan raft.RPC, progress *progress, maxBytes int64, heard *heard, hangUp func()) *backlog {
	return &backlog{
		from: from, to: make(chan raft.RPC), progress: progress, max: maxBytes, heard: heard, hangUp: hangUp,
		heartbeats: make(chan struct{}, 1), turned: make(chan raft.RPC), began: make(chan struct{}), ended: make(chan struct{}),
	}
}

// run hands requests on until ctx is done. committed and applied are Raft's indexes,
// term and state are its own.
func (b *backlog) run(ctx context.Context, committed, applied, term func() uint64, state func() raft.RaftState) {
	b.committed, b.applied, b.term, b.state = committed, applied, term, state
	close(b.began)
	defer close(b.ended)
	for {
		var progressed <-chan struct{}
		if b.held != nil {
			bytes, changed := b.waiting()
			if bytes <= b.max {
				b.pass(ctx, *b.held)
				b.held = nil
				continue
			}
			progressed = changed
		}
		select {
		case <-ctx.Done():
			b.drop()
			return
		case rpc := <-b.from:
			b.take(ctx, rpc)
		case rpc := <-b.turned:
			b.give(ctx, rpc)
		case <-progressed:
		}
	}
}

// take passes rpc on or holds it. A leader sends one request with entries at a
// time: when another comes, it waits for the one before no longer.
func (b *backlog) take(ctx context.Context, rpc raft.RPC) {
	if len(entriesOf(rpc)) == 0 {
		b.pass(ctx, rpc)
		return
	}
	b.drop()
	b.held = &rpc
}

func (b *backlog) drop() {
	if b.held != nil {
		b.held.Respond(nil, errHeld)
		b.held = nil
	}
}

func (b *backlog) pass(ctx context.Context, rpc raft.RPC) {
	for _, e := range entriesOf(rpc) {
		b.arrive(e)
	}
	b.heard.note(rpc)
	switch req := rpc.Command.(type) {
	case *raft.AppendEntriesRequest:
		b.progress.end.vouch(req, b.applied())
	case *raft.InstallSnapshotRequest:
		rpc.Reader = snapshotStream{rpc.Reader, b.hangUp}
		if b.outgrown(ctx, req) {
			decline(rpc, req)
			return
		}
	case *raft.TimeoutNowRequest:
		b.handOver(ctx, rpc)
		return
	}
	b.give(ctx, rpc)
}

// give returns when Raft's main loop has taken rpc, or ctx is done.
func (b *backlog) give(ctx context.Context, rpc raft.RPC) {
	select {
	case b.to <- rpc:
	case <-ctx.Done():
		rpc.Respond(nil, raft.ErrRaftShutdown)
	}
}

// arrive notes an entry. It takes the place of others from its index on, as in
// the log.
func (b *backlog) arrive(e *raft.Log) {
	n := len(b.entries)
	for n > 0 && b.entries[n-1].index >= e.Index {
		n--
	}
	b.entries = append(b.entries[:n], arrived{e.Index, int64(len(e.Data) + len(e.Extensions))})
}

// waiting is how many bytes are committed and not applied, and a channel that is
// closed when they may be fewer.
func (b *backlog) waiting() (bytes int64, changed <-chan struct{}) {
	reached, restores, changed := b.progress.position()
	if restores != b.skipped {
		// What a snapshot has brought is never applied.
		b.entries, b.skipped = nil, restores
	}
	n := 0
	for n < len(b.entries) && b.entries[n].index <= reached {
		n++
	}
	b.entries = b.entries[n:]
	committed := b.committed()
	for _, e := range b.entries {
		if e.index > committed {
			break
		}
		bytes += e.bytes
	}
	return bytes, changed
}

func entriesOf(rpc raft.RPC) []*raft.Log {
	if req, ok := rpc.Command.(*raft.AppendEntriesRequest); ok {
		return req.Entries
	}
	return nil
}
