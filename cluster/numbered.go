package cluster

import (
	"sync"

	"github.com/hashicorp/raft"

	"pipesync/internal/planted"
)

// answers remembers which numbered AppendEntries each peer has answered.
//
// Each AppendEntries gets the next number when it is sent. If a peer answers
// number n in the term in which it was sent, then the peer, at a moment after n
// was given out, had promised its vote to no later term. A reader that notes the
// newest number s and then sees answers to numbers > s from a quorum of voters
// has proof that no later leader existed when it noted s: any later leader's
// quorum shares a voter with this one. Raft's own VerifyLeader also counts
// answers to requests sent before the question, which prove nothing about now.
//
// Only plain AppendEntries are numbered. Pipelined ones are not: heartbeats are
// never pipelined, and VerifyLeader makes each peer's heartbeat go out at once.
type answers struct {
	mu      sync.Mutex
	sent    uint64
	latest  map[raft.ServerID]answer
	changed chan struct{} // closed at the next answer
}

type answer struct {
	term   uint64
	number uint64
}

func newAnswers() *answers {
	return &answers{latest: make(map[raft.ServerID]answer), changed: make(chan struct{})}
}

// next numbers an AppendEntries that is about to be sent.
func (a *answers) next() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sent++
	return a.sent
}

// mark returns the newest number given out.
func (a *answers) mark() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.sent
}

// record notes that peer answered number in term. Answers come in any order.
func (a *answers) record(peer raft.ServerID, term, number uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	old := a.latest[peer]
	if term < old.term || (term == old.term && number <= old.number) {
		return
	}
	a.latest[peer] = answer{term: term, number: number}
	close(a.changed)
	a.changed = make(chan struct{})
}

// since returns the peers that have answered a number > mark in term, and a
// channel that is closed when that may have changed.
func (a *answers) since(mark, term uint64) (map[raft.ServerID]bool, <-chan struct{}) {
	a.mu.Lock()
	defer a.mu.Unlock()
	got := make(map[raft.ServerID]bool, len(a.latest))
	for peer, last := range a.latest {
		if last.term == term && last.number > mark {
			got[peer] = true
		}
	}
	return got, a.changed
}

// numberedTransport is Raft's network transport with numbered AppendEntries
// whose entries are bounded in bytes, and whose commit index by its entries. What
// it receives comes through the backlog.
type numberedTransport struct {
	*raft.NetworkTransport
	answers    *answers
	deliveries *deliveries
	followers  *replication
	sending    *snapshotSending
	backlog    *backlog
	heartbeats *flights // that are being handled: see SetHeartbeatHandler
	heard      *heard
}

// Consumer implements raft.Transport.
func (t *numberedTransport) Consumer() <-chan raft.RPC { return t.backlog.to }

// AppendEntries implements raft.Transport.
func (t *numberedTransport) AppendEntries(id raft.ServerID, target raft.ServerAddress, args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	limitEntries(args)
	limitCommit(args)
	number := t.answers.next()
	if err := t.NetworkTransport.AppendEntries(id, meant(id, target), args, resp); err != nil {
		return err
	}
	if resp.Term == args.Term {
		t.answers.record(id, args.Term, number)
	}
	if !isHeartbeat(args) {
		t.deliveries.note(id)
	}
	t.followers.answered(id, args, resp)
	return nil
}

// AppendEntriesPipeline implements raft.Transport.
func (t *numberedTransport) AppendEntriesPipeline(id raft.ServerID, target raft.ServerAddress) (raft.AppendPipeline, error) {
	p, err := t.NetworkTransport.AppendEntriesPipeline(id, meant(id, target))
	if err != nil {
		return nil, err
	}
	return newPipeline(p, func(answer raft.AppendFuture) {
		t.deliveries.note(id)
		t.followers.answered(id, answer.Request(), answer.Response())
	}), nil
}

// maxAppendBytes bounds one AppendEntries, except that one entry always goes.
const maxAppendBytes = 8 << 20

// limitEntries cuts the request where its entries exceed maxAppendBytes. Raft
// counts entries, not bytes, and takes what it has sent from args afterwards,
// so that the rest goes with the next request.
func limitEntries(args *raft.AppendEntriesRequest) {
	total := 0
	for i, e := range args.Entries {
		total += len(e.Data) + len(e.Extensions)
		if total > maxAppendBytes && i > 0 {
			args.Entries = args.Entries[:i]
			return
		}
	}
}

// limitCommit bounds the leader's commit index by the last entry that the
// request speaks of, as the paper's figure 2 does at the receiver. Raft's
// receiver takes its own last entry instead, which may be one of a former leader
// that nobody else has: after failed appends, on a full disk, a leader goes back
// further than to the first entry that differs.
func limitCommit(args *raft.AppendEntriesRequest) {
	if planted.Is(planted.CommitAhead) {
		return
	}
	args.LeaderCommitIndex = min(args.LeaderCommitIndex, args.PrevLogEntry+uint64(len(args.Entries)))
}
