package simcluster

import (
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/hashicorp/raft"

	"pipesync/fsm"
)

// claim is one token: the content of one request, which may be sent more than once
// only under an idempotency key.
type claim struct {
	org string
	landing
	past    []landing // in earlier lives of the organization
	open    int       // requests without an answer yet
	unknown int       // that ended without one, or with 'unknown'
	done    int
	refused string // the last answer that it was not applied
}

// landing is how a sync was applied.
type landing struct {
	index  uint64 // of the entry that brought it; 0: none
	syncID string
}

// was says whether the claim was applied so.
func (c *claim) was(l landing) bool { return c.landing == l || slices.Contains(c.past, l) }

// content is what the workload sends as a record's data.
type content struct {
	Token string `json:"t"`
	N     int    `json:"n"`
}

func tokenOf(s *fsm.Sync) string {
	for _, op := range s.Operations {
		var c content
		if op.Data != nil && json.Unmarshal(op.Data, &c) == nil {
			return c.Token
		}
	}
	return ""
}

// decided takes up a sync that was decided by an entry.
func (l *ledger) decided(log *raft.Log, stamp fsm.Stamp, s *fsm.Sync, r *fsm.Result) {
	index, token := log.Index, tokenOf(s)
	c, ok := l.claims[token]
	if !ok {
		l.w.violate("entry %d brings a sync that nobody sent: %q", index, token)
		return
	}
	c.org = s.Org
	h, err := fsm.DecodeHeader(log.Data)
	if err != nil {
		l.w.violate("entry %d: %v", index, err)
		return
	}
	org, bytes := l.tenant(s.Org), uint64(h.RawBytes)
	room, limit := org.window.room(index, l.clusterTime, bytes), org.window.at(index)
	lacks := l.lacks(index, s)
	authorized := l.keys[s.KeyID].admits(s.Org, stamp.WallTime)
	switch {
	case r.Outcome == fsm.OK && r.Index == index:
		l.authorized(index, s.KeyID, s.Org, stamp.WallTime)
		if !org.stores[s.Store] {
			l.w.violate("entry %d was admitted to a store that isn't there", index)
		}
		if !room {
			l.w.violate("entry %d was admitted to a full window", index)
		}
		if lacks {
			l.w.violate("entry %d was admitted without contents that aren't there", index)
		}
		if s.OmittedBytes > 0 {
			l.w.counts.command(omitting)
		}
		if org.window.admit(admitted{index, l.clusterTime, l.stampedLast, bytes}) {
			l.w.violate("with entry %d a minute of %s has more than %+v", index, s.Org, limit)
		}
		l.landed(index, s, r, c, token)
	case r.Outcome == fsm.OK || r.Outcome == fsm.Replayed:
		if !c.was(landing{r.Index, r.Sync.SyncID}) {
			l.w.violate("entry %d was told as a repetition of entry %d, but %s was applied as %+v", index, r.Index, token, c)
		}
	case r.Outcome == fsm.ContentsOmitted:
		l.w.counts.command(omittingTooMuch)
		if !lacks {
			l.w.violate("entry %d was refused for contents that are there", index)
		}
	case authorized && slices.Contains(keyRefusals, r.Outcome):
		l.w.violate("entry %d was refused by outcome %d, but its key is good", index, r.Outcome)
	case r.Outcome == fsm.StoreNotFound && org.stores[s.Store]:
		l.w.violate("entry %d was refused for a store that is there", index)
	case r.Outcome == fsm.RateLimited && room:
		l.w.violate("entry %d was refused by a window that isn't full", index)
	case r.Outcome == fsm.QuotaExceeded && (limit.bytes == 0 || bytes <= limit.bytes):
		l.w.violate("entry %d of %d bytes was refused by a limit of %+v", index, bytes, limit)
	}
}

// Syncs that omit contents are counted as kinds of commands.
const (
	omitting        = "Sync that omits contents"
	omittingTooMuch = "Sync that omits too much"
)

// lacks says that an entry omits contents that the state before it hasn't got.
func (l *ledger) lacks(index uint64, s *fsm.Sync) bool {
	return slices.ContainsFunc(s.Outline().Namespaces, func(ns string) bool {
		return l.contents(s.Org, ns).lacks(index, ns, s)
	})
}

var keyRefusals = []fsm.Outcome{fsm.KeyNotFound, fsm.KeyRevoked, fsm.KeyExpired, fsm.OrgMismatch, fsm.KeyScopeDenied}

// landed takes up a sync that was applied.
func (l *ledger) landed(index uint64, s *fsm.Sync, r *fsm.Result, c *claim, token string) {
	l.syncs++
	if c.index != 0 {
		l.w.violate("%s was applied by entry %d, and again by %d", token, c.index, index)
	}
	if c.open+c.unknown+c.done == 0 {
		l.w.violate("%s was applied by entry %d, after the answer %s", token, index, c.refused)
	}
	c.landing = landing{index, r.Sync.SyncID}
	for _, ns := range s.Outline().Namespaces {
		l.contents(s.Org, ns).apply(index, ns, s)
	}
	if s.Checkpoint == nil {
		return
	}
	held := l.checkpoints(s.Org)
	stored := held.order.admits(s.Checkpoint.Pipeline, s)
	if stored {
		held.put(index, s.Checkpoint.Pipeline, string(s.Checkpoint.State))
	}
	if r.Sync.CheckpointSkipped == stored {
		l.w.violate("entry %d says that its checkpoint was skipped: %v", index, !stored)
	}
}

// contents are a namespace's.
func (l *ledger) contents(org, ns string) *contents { return l.kept(org + "/" + ns) }

// checkpoints have the names of pipelines for ids.
func (l *ledger) checkpoints(org string) *contents { return l.kept(org) }

func (l *ledger) kept(name string) *contents {
	c, ok := l.stores[name]
	if !ok {
		c = newContents()
		l.stores[name] = c
	}
	return c
}

// refused checks an answer that the leader gave without an entry, after it had
// applied an entry from before to the last that it has.
func (l *ledger) refused(p *process, before, term uint64, body, reply []byte) {
	r, err := fsm.DecodeResult(reply)
	if err != nil {
		l.w.violate("%s: %v", p.m.name, err)
		return
	}
	h, err := fsm.DecodeHeader(body)
	now := p.gate.ClusterTime(term)
	if err != nil || r.Outcome != fsm.RateLimited || now == 0 {
		return
	}
	last := p.state.Applied()
	if !l.reach(p, last) {
		return
	}
	defer l.mu.Unlock()
	org := l.tenant(h.Org)
	if org.ended >= before {
		return
	}
	for index := before; index <= last; index++ {
		if !org.window.room(index, now, uint64(h.RawBytes)) {
			return
		}
	}
	l.w.violate("%s refused a sync of %s at cluster time %d, but the window isn't full", p.m.name, h.Org, now)
}

// reach returns with mu held when the ledger has what a process has applied; false,
// without it, if the process dies.
func (l *ledger) reach(p *process, index uint64) bool {
	for {
		l.mu.Lock()
		if l.head >= index {
			return true
		}
		l.mu.Unlock()
		if p.dead() {
			return false
		}
		time.Sleep(time.Microsecond)
	}
}

// asked begins a request. The function that it returns is told the answer.
func (l *ledger) asked(token string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c, ok := l.claims[token]
	if !ok {
		c = &claim{}
		l.claims[token] = c
	}
	c.open++
}

// answered with the index of the entry that brought it.
func (l *ledger) answered(token string, index uint64, syncID string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.claims[token]
	c.open--
	c.done++
	if !c.was(landing{index, syncID}) {
		l.w.violate("%s was answered with %s at entry %d, but was applied as %+v", token, syncID, index, c)
	}
	l.shown = max(l.shown, index)
}

// unanswered: nobody knows.
func (l *ledger) unanswered(token string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.claims[token]
	c.open--
	c.unknown++
}

// denied: told that it was not applied, and never will be.
func (l *ledger) denied(token, code string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.claims[token]
	c.open--
	c.refused = code
	if c.index != 0 && c.open+c.unknown+c.done == 0 {
		l.w.violate("%s was applied by entry %d and answered with %s", token, c.index, code)
	}
}

// floor is the index that a read that begins now has to show at least.
func (l *ledger) floor() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.shown
}

// checkpointRead checks what a read of a checkpoint has shown; state is empty if there
// was none.
func (l *ledger) checkpointRead(org, pipeline, state string, index, floor uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if want := l.checkpoints(org).at(index, pipeline); state != want {
		l.w.violate("a read of the checkpoint %s/%s at entry %d shows %q, not %q", org, pipeline, index, state, want)
	}
	l.saw(index, floor)
}

// read checks what a read of one record has shown; data is empty if there was none.
func (l *ledger) read(org, ns, id, data string, index, floor uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if want := l.contents(org, ns).at(index, id); data != want {
		l.w.violate("a read of %s/%s/%s at entry %d shows %q, not %q", org, ns, id, index, data, want)
	}
	l.saw(index, floor)
}

// listed checks what a list of a namespace's records has shown.
func (l *ledger) listed(org, ns string, records map[string]string, index, floor uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	want := l.contents(org, ns).all(index)
	for id, data := range want {
		if records[id] != data {
			l.w.violate("a list of %s/%s at entry %d shows %q as %s, not %q", org, ns, index, records[id], id, data)
		}
	}
	if len(records) != len(want) {
		l.w.violate("a list of %s/%s at entry %d has %d records, not %d", org, ns, index, len(records), len(want))
	}
	l.saw(index, floor)
}

// saw needs mu. A floor of 0 is that of a read that may be stale.
func (l *ledger) saw(index, floor uint64) {
	if floor == 0 {
		return
	}
	if index < floor {
		l.w.violate("a read shows entry %d, but entry %d was told before it began", index, floor)
	}
	l.shown = max(l.shown, index)
}

// settle checks what can only be checked when nothing is under way any more.
func (l *ledger) settle() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for token, c := range l.claims {
		if c.done > 0 && c.index == 0 && len(c.past) == 0 {
			l.w.violate("%s was acknowledged and is lost", token)
		}
		if c.open != 0 {
			l.w.violate("%s has %d requests open", token, c.open)
		}
	}
}
