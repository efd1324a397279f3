package audit

import "slices"

// Verdict is what a comparison says of one member's state.
type Verdict string

const (
	// Unknown means that the comparison had nothing to say.
	Unknown Verdict = "unknown"
	// Agrees means that most voters have the same.
	Agrees Verdict = "agrees"
	// Disputed means that voters have different states, and none has a majority.
	Disputed Verdict = "disputed"
	// Diverged means that most voters have something else.
	Diverged Verdict = "diverged"
)

// ballot is what one member has noted; none where it hasn't told.
type ballot struct {
	id    string
	voter bool
	notes []noted
}

// noted is what a member has found at the mark at index.
type noted struct {
	index uint64
	value string
}

// judgement is a verdict with the mark that it is of.
type judgement struct {
	verdict Verdict
	at      uint64
}

// vote judges all members, by id. At a mark at which a majority of the voters has
// noted the same, that is right: whoever has noted something else there has gone
// wrong before it, for good. The newest mark at which those known differ, and none
// of them has a majority, leaves open who is right since. Those in diverged have been
// found to be wrong before, at a mark by id: their word raises no doubt, and they
// stay so until a majority agrees with them at that mark or later.
func vote(ballots []ballot, diverged map[string]uint64) map[string]judgement {
	judged := make(map[string]judgement, len(ballots))
	voters := 0
	for _, b := range ballots {
		judged[b.id] = judgement{verdict: Unknown}
		if at, is := diverged[b.id]; is {
			judged[b.id] = judgement{Diverged, at}
		}
		if b.voter {
			voters++
		}
	}
	decided := false // at a newer mark
	for _, index := range indexes(ballots) {
		values, right, found := tally(ballots, index, voters)
		decided = decided || found
		for id, value := range values {
			was, known := diverged[id]
			now := judged[id].verdict
			cleared := known && judged[id] == (judgement{Diverged, was}) && index >= was
			switch {
			case found && value != right:
				judged[id] = judgement{Diverged, index}
			case found && (now == Unknown || cleared):
				judged[id] = judgement{Agrees, index}
			case !decided && now == Unknown && differ(values, diverged):
				judged[id] = judgement{Disputed, index}
			}
		}
	}
	return judged
}

// indexes of all marks, the newest first.
func indexes(ballots []ballot) []uint64 {
	var all []uint64
	for _, b := range ballots {
		for _, n := range b.notes {
			all = append(all, n.index)
		}
	}
	slices.Sort(all)
	all = slices.Compact(all)
	slices.Reverse(all)
	return all
}

// tally is what members have noted at a mark, by id, and what a majority of all
// voters has, if found.
func tally(ballots []ballot, index uint64, voters int) (values map[string]string, right string, found bool) {
	values = map[string]string{}
	count := map[string]int{} // voters, by value
	for _, b := range ballots {
		for _, n := range b.notes {
			if n.index != index {
				continue
			}
			values[b.id] = n.value
			if !b.voter {
				continue
			}
			if count[n.value]++; count[n.value] > voters/2 {
				right, found = n.value, true
			}
		}
	}
	return values, right, found
}

// differ says whether there are two values, those apart that are known to be wrong.
func differ(values map[string]string, diverged map[string]uint64) bool {
	first, any := "", false
	for id, value := range values {
		if _, wrong := diverged[id]; wrong {
			continue
		}
		if any && value != first {
			return true
		}
		first, any = value, true
	}
	return false
}
