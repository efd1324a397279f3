package audit

// poll is what comparisons of one kind of notes have found out.
type poll struct {
	own      judgement         // of this node
	diverged map[string]uint64 // at which mark, by id
}

func newPoll() poll { return poll{own: judgement{verdict: Unknown}} }

// doubt makes this node's own state doubtful at a mark.
func (p *poll) doubt(index uint64) {
	if p.own.verdict != Diverged {
		p.own = judgement{Disputed, index}
	}
}

// count counts the ballots, and returns what was known of this node before.
func (p *poll) count(self string, ballots []ballot) (before judgement) {
	judged := vote(ballots, p.diverged)
	p.diverged = map[string]uint64{}
	for id, j := range judged {
		if j.verdict == Diverged {
			p.diverged[id] = j.at
		}
	}
	before = p.own
	// Marks of before the doubt don't end it.
	if j := judged[self]; bad(j.verdict) || j.verdict == Agrees && (!bad(before.verdict) || j.at >= before.at) {
		p.own = j
	}
	return before
}

func (p *poll) isDiverged(id string) bool {
	_, is := p.diverged[id]
	return is
}

func bad(v Verdict) bool { return v == Diverged || v == Disputed }
