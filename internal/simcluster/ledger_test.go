package simcluster

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"pipesync/fsm"
	"pipesync/fsm/admission"
)

// hashEvery is at how many entries' distance the nodes' whole states are compared;
// what they have written is compared at each.
const hashEvery = 64

// ledger is what everybody has seen: the entries that nodes applied, the answers
// that clients got. It checks each against all others. Entries are met for the
// first time in the order of the log, since a node applies one only after all
// before it; a snapshot holds only what some node has applied.
type ledger struct {
	w *world

	mu          sync.Mutex
	rng         *rand.Rand
	head        uint64 // the newest index applied
	entries     map[uint64]*entry
	chains      map[uint64]uint64   // over all writes, up to an entry
	hashes      map[uint64][32]byte // of all rows
	clusterTime int64               // after head
	stamped     map[string]time.Time
	stampedLast time.Time // of the entries up to head, the latest
	leaders     map[uint64]string
	tenants     map[string]*tenant     // by organization
	keys        map[string]*credential // by id
	claims      map[string]*claim      // by token
	stores      map[string]*contents
	shown       uint64 // the newest index that an answer has told
	syncs       int    // applied
}

// entry is what a node has made of the log's entry.
type entry struct {
	by          string // whom first
	term        uint64
	sum         [32]byte // of all that it is
	response    string
	clusterTime int64 // after it
}

func newLedger(w *world) *ledger {
	return &ledger{
		w: w, rng: rand.New(rand.NewPCG(w.seed, 3)), entries: make(map[uint64]*entry),
		chains: make(map[uint64]uint64), hashes: make(map[uint64][32]byte),
		stamped: make(map[string]time.Time), stampedLast: time.Now(), leaders: make(map[uint64]string),
		tenants: make(map[string]*tenant), keys: make(map[string]*credential),
		claims: make(map[string]*claim), stores: make(map[string]*contents),
	}
}

// watchedState tells the ledger what is applied.
type watchedState struct {
	*fsm.FSM
	p *process
}

func (s watchedState) Apply(l *raft.Log) any {
	response := s.FSM.Apply(l)
	if response == nil || s.p.dead() {
		return response // applied by an earlier process, or seen by nobody
	}
	s.p.m.w.ledger.applied(s.p, l, response)
	return response
}

func (l *ledger) applied(p *process, log *raft.Log, response any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	met := &entry{by: p.m.name, term: log.Term, sum: sumOf(log), response: fmt.Sprint(response)}
	if first, ok := l.entries[log.Index]; ok {
		if first.sum != met.sum {
			l.w.violate("%s applied entry %d, of term %d and kind %d, with the result\n%s\nbut %s another one, of term %d, with\n%s",
				p.m.name, log.Index, log.Term, log.Data[0], met.response, first.by, first.term, first.response)
		} else if first.response != met.response {
			l.w.violate("%s applied entry %d, of kind %d, with the result\n%s\nbut %s with\n%s",
				p.m.name, log.Index, log.Data[0], met.response, first.by, first.response)
		}
	} else {
		l.entries[log.Index] = met
		l.met(p, log, response)
		met.clusterTime = l.clusterTime
	}
	l.compareState(p, log.Index, log.Index%hashEvery == 0)
}

func sumOf(log *raft.Log) [32]byte {
	h := sha256.New()
	fmt.Fprintf(h, "%d %d %d ", log.Term, log.Type, len(log.Data))
	h.Write(log.Data)
	h.Write(log.Extensions)
	return [32]byte(h.Sum(nil))
}

// compareState compares what a process has written up to the entry at index, which it
// has applied last, and if so asked all that it has.
func (l *ledger) compareState(p *process, index uint64, whole bool) {
	view, err := p.state.View()
	if err != nil {
		l.w.violate("%s: %v", p.m.name, err)
		return
	}
	defer view.Close()
	chain := view.System().Chain
	if first, ok := l.chains[index]; !ok {
		l.chains[index] = chain
	} else if first != chain {
		l.w.violate("%s has come to entry %d by other writes than others", p.m.name, index)
	}
	if !whole {
		return
	}
	hash, err := view.Hash()
	if err != nil {
		l.w.violate("%s: %v", p.m.name, err)
		return
	}
	if first, ok := l.hashes[index]; !ok {
		l.hashes[index] = hash
	} else if first != hash {
		l.w.violate("%s has another state at entry %d than others", p.m.name, index)
	}
}

// met takes up an entry that nobody has applied before.
func (l *ledger) met(p *process, log *raft.Log, response any) {
	if log.Index <= l.head {
		l.w.violate("%s applied entry %d, which others skipped on their way to %d", p.m.name, log.Index, l.head)
	}
	l.head = log.Index
	reply, ok := response.([]byte)
	if !ok {
		return // fenced: it is nothing
	}
	stamp, err := fsm.DecodeStamp(log.Extensions, log.Data)
	if err != nil {
		l.w.violate("entry %d: %v", log.Index, err)
		return
	}
	if stamp.Term != log.Term {
		l.w.violate("entry %d of term %d was applied with a stamp of term %d", log.Index, log.Term, stamp.Term)
	}
	l.advance(log, stamp)
	result, err := fsm.DecodeResult(reply)
	if err != nil {
		l.w.violate("the result of entry %d: %v", log.Index, err)
		return
	}
	command, err := fsm.Decode(log.Data)
	if err != nil {
		l.w.violate("entry %d: %v", log.Index, err)
		return
	}
	if result.Outcome == fsm.OK {
		l.w.counts.command(strings.TrimPrefix(fmt.Sprintf("%T", command), "*fsm."))
	}
	if sync, ok := command.(*fsm.Sync); ok {
		l.decided(log, stamp, sync, result)
	} else {
		l.administered(log.Index, stamp, command, result)
	}
}

// advance checks that cluster time goes forward, and no faster than real time
// from the stamping of one entry to that of another. Entries may have been
// stamped in another order than they were appended in.
func (l *ledger) advance(log *raft.Log, stamp fsm.Stamp) {
	at, ok := l.stamped[string(log.Extensions)]
	if !ok {
		l.w.violate("entry %d has a stamp that no leader gave", log.Index)
	}
	next := max(l.clusterTime, stamp.ClusterTime)
	real := max(at.Sub(l.stampedLast), 0)
	if gone := time.Duration(next - l.clusterTime); gone > real+real/1000+time.Microsecond {
		l.w.violate("cluster time went on by %v in %v, at entry %d", gone, real, log.Index)
	}
	l.clusterTime = next
	if at.After(l.stampedLast) {
		l.stampedLast = at
	}
}

// observe is told what the state machine tells the gate.
func (l *ledger) observe(p *process, index uint64, clusterTime int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if first, ok := l.entries[index]; ok && !p.dead() && first.clusterTime != clusterTime {
		l.w.violate("%s has cluster time %d after entry %d, others %d", p.m.name, clusterTime, index, first.clusterTime)
	}
}

// watchedGate tells the ledger what leaders do.
type watchedGate struct {
	*admission.Gate
	p *process
}

func (g watchedGate) LeaderReady(term uint64) {
	if !g.p.dead() {
		g.p.m.w.ledger.leads(g.p.m.name, term)
	}
	g.Gate.LeaderReady(term)
}

func (l *ledger) leads(name string, term uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if other, ok := l.leaders[term]; ok {
		l.w.violate("%s leads in term %d, and so does %s", name, term, other)
	}
	l.leaders[term] = name
}

// terms is how many have had a leader.
func (l *ledger) terms() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.leaders)
}

func (g watchedGate) Stamp(term uint64, body []byte) []byte {
	stamp := g.Gate.Stamp(term, body)
	l := g.p.m.w.ledger
	l.mu.Lock()
	if _, ok := l.stamped[string(stamp)]; !ok { // the same again, if all clocks stand
		l.stamped[string(stamp)] = time.Now()
	}
	dawdle := l.dawdle()
	l.mu.Unlock()
	time.Sleep(dawdle)
	return stamp
}

// dawdle is how long a goroutine is held up between stamping an entry and having it
// appended: mostly not at all, now and then for an election. It needs mu.
func (l *ledger) dawdle() time.Duration {
	if l.rng.IntN(50) > 0 {
		return 0
	}
	return time.Duration(l.rng.Int64N(int64(maxFaultTime)))
}

func (g watchedGate) Admit(ctx context.Context, term uint64, body []byte) ([]byte, func([]byte), error) {
	if err := g.p.audit.Alarm(); err != nil {
		return nil, nil, err
	}
	before := g.p.state.Applied()
	reply, release, err := g.Gate.Admit(ctx, term, body)
	if reply != nil && !g.p.dead() {
		g.p.m.w.ledger.refused(g.p, before, term, body, reply)
	}
	return reply, release, err
}
