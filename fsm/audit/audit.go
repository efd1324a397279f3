package audit

import (
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
	file  string         // of scrubs
	queue chan *fsm.View // to be scrubbed; of capacity 1

	mu       sync.Mutex
	compared bool    // since the start
	chains   poll    // of the marks
	rows     poll    // of the scrubs
	scrubs   []Scrub // the last ones, at most maxScrubs
}

// New returns an auditor of state, which keeps what it has found in file, in a
// directory that is there. Marked and Restored are to be wired to the state machine
// before the first entry is applied, Report and Compare to the exchange of the
// members. Run scrubs.
func New(state State, file string, log *slog.Logger) *Auditor {
	return &Auditor{
		state: state, log: log, file: file, queue: make(chan *fsm.View, 1),
		chains: newPoll(), rows: newPoll(), scrubs: readScrubs(file, log),
	}
}

// Marked is told of each mark that this node applies. One whose proposer has noted
// something else makes the state doubtful until the next comparison has told who
// is right.
func (a *Auditor) Marked(m fsm.Marked) {
	if m.Scrub {
		a.enqueue()
	}
	if !m.Differs {
		return
	}
	a.log.Error("this node's state is not the one of whoever led at a mark; asking the others",
		"mark", m.Before.Index, "chain", fmt.Sprintf("%016x", m.Before.Chain), "proposed", fmt.Sprintf("%016x", m.Proposed.Chain))
	a.mu.Lock()
	defer a.mu.Unlock()
	a.chains.doubt(m.Before.Index)
}

// Restored is told when another node's state has taken the place of this one's:
// what was found out about the rows of the old one is void.
func (a *Auditor) Restored() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.rows, a.scrubs = newPoll(), nil
	a.save()
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
	own := a.report()
	var chains, rows []ballot
	for id, voter := range members {
		r := own
		if id != self {
			r = readReport(reports[id])
		}
		chains = append(chains, ballot{id, voter, r.marks()})
		rows = append(rows, ballot{id, voter, r.scrubs()})
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.compared = true
	a.tell("what the members have written", &a.chains, a.chains.count(self, chains))
	a.tell("the members' rows", &a.rows, a.rows.count(self, rows))
}

// tell logs a verdict that has changed for the worse or from it.
func (a *Auditor) tell(what string, p *poll, before judgement) {
	if p.own.verdict != before.verdict && (bad(before.verdict) || bad(p.own.verdict)) {
		a.log.Error("compared "+what, "verdict", p.own.verdict, "before", before.verdict, "mark", p.own.at)
	}
}

// Diverged says that member id's state isn't the majority's.
func (a *Auditor) Diverged(id string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.chains.isDiverged(id) || a.rows.isDiverged(id)
}

const cure = "that is: 'pipesync leave', then 'pipesync reseed', and have it join again"

// Alarm is why this node's state can't be trusted; nil where nothing is known
// against it.
func (a *Auditor) Alarm() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, own := range []judgement{a.chains.own, a.rows.own} {
		switch own.verdict {
		case Diverged:
			return &distrust{fmt.Sprintf("this node's state isn't the one that most voters have (at entry %d): reseed it, %s", own.at, cure)}
		case Disputed:
			return &distrust{fmt.Sprintf("the voters have different states (at entry %d), and none of them has a majority: start those that are down, or reseed all but one, %s", own.at, cure)}
		}
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
