package simcluster

import (
	"slices"
	"sort"
	"time"

	"github.com/go-json-experiment/json"

	"pipesync/fsm"
)

const (
	windowLimit  = 60
	windowMillis = 60_060
	realMinute   = time.Minute
)

// window is an organization's admitted syncs.
type window struct {
	at   []int64     // cluster time
	real []time.Time // when the leader had stamped them
}

// full reports whether there is no room at the cluster time now.
func (w *window) full(now int64) bool {
	n := len(w.at)
	return n >= windowLimit && w.at[n-windowLimit] > now-windowMillis*int64(time.Millisecond)
}

// claim is one token: the content of one request, which may be sent more than once
// only under an idempotency key.
type claim struct {
	index   uint64 // of the entry that brought it; 0: none
	syncID  string
	open    int // requests without an answer yet
	unknown int // that ended without one, or with 'unknown'
	done    int
	refused string // the last answer that it was not applied
}

// contents is what a namespace holds: for each id all that it ever was.
type contents struct {
	ids map[string][]version
}

type version struct {
	index uint64
	data  string // empty: not there
}

func (c *contents) put(index uint64, id, data string) {
	c.ids[id] = append(c.ids[id], version{index, data})
}

// at returns what an id is in a state that has applied index.
func (c *contents) at(index uint64, id string) string {
	versions := c.ids[id]
	i := sort.Search(len(versions), func(i int) bool { return versions[i].index > index })
	if i == 0 {
		return ""
	}
	return versions[i-1].data
}

// all returns the records there, by id.
func (c *contents) all(index uint64) map[string]string {
	records := make(map[string]string)
	for id := range c.ids {
		if data := c.at(index, id); data != "" {
			records[id] = data
		}
	}
	return records
}

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
func (l *ledger) decided(index uint64, s *fsm.Sync, r *fsm.Result) {
	token := tokenOf(s)
	c, ok := l.claims[token]
	if !ok {
		l.w.violate("entry %d brings a sync that nobody sent: %q", index, token)
		return
	}
	org := l.window(s.Org)
	switch {
	case r.Outcome == fsm.OK && r.Index == index:
		if org.full(l.clusterTime) {
			l.w.violate("entry %d was admitted to a full window", index)
		}
		org.at = append(org.at, l.clusterTime)
		org.real = append(org.real, l.stampedLast)
		l.landed(index, s, r, c, token)
	case r.Outcome == fsm.OK || r.Outcome == fsm.Replayed:
		if r.Index != c.index || r.Sync.SyncID != c.syncID {
			l.w.violate("entry %d was told as a repetition of entry %d, but %s was applied by %d", index, r.Index, token, c.index)
		}
	case r.Outcome == fsm.RateLimited && !org.full(l.clusterTime):
		l.w.violate("entry %d was refused by a window that isn't full", index)
	}
}

func (l *ledger) window(org string) *window {
	w, ok := l.windows[org]
	if !ok {
		w = &window{}
		l.windows[org] = w
	}
	return w
}

// landed takes up a sync that was applied.
func (l *ledger) landed(index uint64, s *fsm.Sync, r *fsm.Result, c *claim, token string) {
	l.syncs++
	if c.index != 0 {
		l.w.violate("%s was applied by entry %d, and again by %d", token, c.index, index)
	}
	if c.open+c.unknown+c.done == 0 {
		l.w.violate("%s was applied by entry %d, after the answer %s", token, index, c.refused)
	}
	c.index, c.syncID = index, r.Sync.SyncID
	if s.HasTimestamp {
		return // the order of timestamps isn't followed here
	}
	for _, ns := range s.Outline().Namespaces {
		held := l.contents(s.Org, ns)
		if s.Mode == fsm.FullRefresh {
			for id := range held.all(index) {
				held.put(index, id, "")
			}
		}
		for _, op := range s.Operations {
			if op.Namespace == ns {
				held.put(index, op.ID, string(op.Data))
			}
		}
	}
}

func (l *ledger) contents(org, ns string) *contents {
	name := org + "/" + ns
	c, ok := l.stores[name]
	if !ok {
		c = &contents{ids: make(map[string][]version)}
		l.stores[name] = c
	}
	return c
}

// refused checks an answer that the leader gave without an entry.
func (l *ledger) refused(p *process, term uint64, body, reply []byte) {
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
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.window(h.Org).full(now) {
		l.w.violate("%s refused a sync of %s at cluster time %d, but the window isn't full", p.m.name, h.Org, now)
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
	if c.index != index || c.syncID != syncID {
		l.w.violate("%s was answered with %s at entry %d, but was applied as %s by %d", token, syncID, index, c.syncID, c.index)
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
		if c.done > 0 && c.index == 0 {
			l.w.violate("%s was acknowledged and is lost", token)
		}
		if c.open != 0 {
			l.w.violate("%s has %d requests open", token, c.open)
		}
	}
	for org, w := range l.windows {
		slices.SortFunc(w.real, time.Time.Compare)
		for i := windowLimit; i < len(w.real); i++ {
			if gone := w.real[i].Sub(w.real[i-windowLimit]); gone < realMinute {
				l.w.violate("%s had %d syncs admitted in %v", org, windowLimit+1, gone)
			}
		}
	}
}
