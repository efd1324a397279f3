package main

import (
	"slices"
	"strings"
)

// One fault in combinedIn has another begin while it lasts, of another family.
const combinedIn = 4

// families are the faults that may last together with those of another: to begin and to be healed
// they need nothing of the cluster but a leader, and the proof of one doesn't
// depend on what the other does.
var families = [][]fault{slowFaults, slices.Concat(networkFaults, linkFaults), slices.Concat(processFaults, powerFaults())}

func powerFaults() []fault {
	return slices.DeleteFunc(slices.Clone(diskFaults), func(f fault) bool { return !strings.HasPrefix(f.kind, "power lost") })
}

// beside is a fault to begin while f lasts, of those that were chosen; nil: there is none.
func (n *nemesis) beside(f fault, choice []fault) *fault {
	own := familyOf(f)
	if own < 0 {
		return nil
	}
	var those []fault
	for _, g := range choice {
		other := familyOf(g)
		// What slows links is measured at links that are whole, before and after, and f may
		// leave nobody to lead.
		if other > 0 && other != own && !wantsLeader(g) {
			those = append(those, g)
		}
	}
	if len(those) == 0 {
		return nil
	}
	return &those[n.rng.IntN(len(those))]
}

// familyOf is the number of a fault's family, -1 if it has none.
func familyOf(f fault) int {
	return slices.IndexFunc(families, func(family []fault) bool { return contains(family, f.kind) })
}

// wantsLeader says whether a fault begins once there is a leader, and not before.
func wantsLeader(f fault) bool {
	return contains(linkFaults, f.kind) || strings.Contains(f.kind, "leader")
}

func contains(list []fault, kind string) bool {
	return slices.ContainsFunc(list, func(f fault) bool { return f.kind == kind })
}
