package audit

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"

	"pipesync/fsm"
	"pipesync/storage"
)

// State is the state of this node.
type State interface {
	// View returns a consistent view, to be closed by the caller.
	View() (*fsm.View, error)
}

// Auditor judges the state of this node and of the others. Its methods may be
// called concurrently.
type Auditor struct {
	state State
	log   *slog.Logger

	mu       sync.Mutex
	compared bool // since the start
	own      judgement
	diverged map[string]uint64 // at which mark, by id
}

// New returns an auditor of state. Its Marked is to be wired to the state machine
// before the first entry is applied, Report and Compare to the exchange of the
// members.
func New(state State, log *slog.Logger) *Auditor {
	return &Auditor{state: state, log: log, own: judgement{verdict: Unknown}}
}

// Marked is told of each mark that this node applies. One whose proposer has noted
// something else makes the state doubtful until the next comparison has told who
// is right.
func (a *Auditor) Marked(m fsm.Marked) {
	if !m.Differs {
		return
	}
	a.log.Error("this node's state is not the one of whoever led at a mark; asking the others",
		"mark", m.Before.Index, "chain", fmt.Sprintf("%016x", m.Before.Chain), "proposed", fmt.Sprintf("%016x", m.Proposed.Chain))
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.own.verdict != Diverged {
		a.own = judgement{Disputed, m.Before.Index}
	}
}

// report is what a member tells the others.
type report struct {
	Marks []reportedMark `json:"marks"`
}

type reportedMark struct {
	Index uint64 `json:"index"`
	Chain uint64 `json:"chain,string"` // not every reader of JSON has 64 bits
}

// Report is what this node has noted, as JSON. It is bounded by storage.MarksMax.
func (a *Auditor) Report() []byte {
	var r report
	for _, m := range a.marks() {
		r.Marks = append(r.Marks, reportedMark(m))
	}
	b, err := json.Marshal(r)
	if err != nil {
		return nil // numbers alone: it can't fail
	}
	return b
}

// marks of the state as it is, which a restore may have replaced; none where it
// can't be read.
func (a *Auditor) marks() []storage.Mark {
	view, err := a.state.View()
	if err != nil {
		return nil
	}
	defer view.Close()
	marks, err := view.Marks()
	if err != nil {
		a.log.Error("reading the marks", "error", err)
		return nil
	}
	return marks.Last
}

// Compare judges all members by what they have reported. members says of each,
// by id, whether it is a voter; reports has those that have answered, without self.
func (a *Auditor) Compare(self string, members map[string]bool, reports map[string][]byte) {
	ballots := make([]ballot, 0, len(members))
	for id, voter := range members {
		b := ballot{id: id, voter: voter, marks: readReport(reports[id])}
		if id == self {
			b.marks = a.marks()
		}
		ballots = append(ballots, b)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	judged := vote(ballots, a.diverged)
	a.compared = true
	a.diverged = map[string]uint64{}
	for id, j := range judged {
		if j.verdict == Diverged {
			a.diverged[id] = j.at
		}
	}
	before := a.own
	// Marks of before the doubt don't end it.
	if j := judged[self]; bad(j.verdict) || j.verdict == Agrees && (!bad(before.verdict) || j.at >= before.at) {
		a.own = j
	}
	if a.own.verdict != before.verdict && (bad(before.verdict) || bad(a.own.verdict)) {
		a.log.Error("the members' states were compared", "verdict", a.own.verdict, "before", before.verdict, "mark", a.own.at)
	}
}

func bad(v Verdict) bool { return v == Diverged || v == Disputed }

// readReport reads what another member says; nothing where it can't be read.
func readReport(b []byte) []storage.Mark {
	var r report
	if json.Unmarshal(b, &r) != nil || len(r.Marks) > storage.MarksMax {
		return nil
	}
	marks := make([]storage.Mark, 0, len(r.Marks))
	for _, m := range r.Marks {
		marks = append(marks, storage.Mark(m))
	}
	return marks
}

// Diverged says that member id's state isn't the majority's.
func (a *Auditor) Diverged(id string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, is := a.diverged[id]
	return is
}

// Alarm is why this node's state can't be trusted; nil where nothing is known
// against it.
func (a *Auditor) Alarm() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch a.own.verdict {
	case Diverged:
		return &distrust{fmt.Sprintf("this node's state isn't the one that most voters have (at entry %d): reseed it, that is: 'pipesync leave', then join again from an empty data directory under a new node id", a.own.at)}
	case Disputed:
		return &distrust{fmt.Sprintf("the voters have different states (at entry %d), and none of them has a majority: start those that are down, or reseed all but one, that is: 'pipesync leave', then join again from an empty data directory under a new node id", a.own.at)}
	}
	return nil
}

// Refusal is why this node mustn't serve now: its Alarm, or that it hasn't compared
// itself with the others since its start.
func (a *Auditor) Refusal() error {
	if err := a.Alarm(); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.compared {
		return &distrust{"this node hasn't compared its state with the other members' since it started"}
	}
	return nil
}

// distrust is an error that says nothing about a proposal.
type distrust struct{ text string }

func (e *distrust) Error() string { return e.text }

// NotApplied is true: nothing of a proposal went to the log.
func (e *distrust) NotApplied() bool { return true }
