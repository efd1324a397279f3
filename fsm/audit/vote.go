package audit

import (
	"slices"

	"pipesync/storage"
)

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
	marks []storage.Mark // ascending
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
		chains, right, found := noted(ballots, index, voters)
		decided = decided || found
		for id, chain := range chains {
			was, known := diverged[id]
			now := judged[id].verdict
			cleared := known && judged[id] == (judgement{Diverged, was}) && index >= was
			switch {
			case found && chain != right:
				judged[id] = judgement{Diverged, index}
			case found && (now == Unknown || cleared):
				judged[id] = judgement{Agrees, index}
			case !decided && now == Unknown && differ(chains, diverged):
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
		for _, m := range b.marks {
			all = append(all, m.Index)
		}
	}
	slices.Sort(all)
	all = slices.Compact(all)
	slices.Reverse(all)
	return all
}

// noted is what members have noted at a mark, by id, and what a majority of all
// voters has, if found.
func noted(ballots []ballot, index uint64, voters int) (chains map[string]uint64, right uint64, found bool) {
	chains = map[string]uint64{}
	count := map[uint64]int{} // voters, by chain
	for _, b := range ballots {
		for _, m := range b.marks {
			if m.Index != index {
				continue
			}
			chains[b.id] = m.Chain
			if !b.voter {
				continue
			}
			if count[m.Chain]++; count[m.Chain] > voters/2 {
				right, found = m.Chain, true
			}
		}
	}
	return chains, right, found
}

// differ says whether there are two chains, those apart that are known to be wrong.
func differ(chains map[string]uint64, diverged map[string]uint64) bool {
	first, any := uint64(0), false
	for id, chain := range chains {
		if _, wrong := diverged[id]; wrong {
			continue
		}
		if any && chain != first {
			return true
		}
		first, any = chain, true
	}
	return false
}
