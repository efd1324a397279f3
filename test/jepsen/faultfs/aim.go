package faultfs

import (
	"bytes"
	"math/rand/v2"
	"slices"
)

// LogName is the file of Raft's log. bbolt, which it is of, checks none of its pages:
// what Pipesync promises is that it finds damage to an entry, which carries a seal, and
// not to the tree around it (docs/adr/0005).
const LogName = "raft.db"

// sealed is how the field of an entry begins which has the seal (docs/FORMAT.md).
var sealed = []byte("Extensions")

const (
	sealKind = 0xc1
	// maxHeader bytes are between the name of a field and its content.
	maxHeader = 5
	sealBytes = 6
)

// aim chooses a bit of what was read, where there is one whose loss must be found.
func aim(name string, read []byte, rng *rand.Rand) (bit int, ok bool) {
	if len(read) == 0 {
		return 0, false
	}
	if name != LogName {
		return rng.IntN(len(read) * 8), true
	}
	seals := sealsIn(read)
	if len(seals) == 0 {
		return 0, false
	}
	return seals[rng.IntN(len(seals))]*8 + rng.IntN(sealBytes*8), true
}

// sealsIn returns where in a part of raft.db seals of entries begin that are in it whole.
func sealsIn(read []byte) (at []int) {
	for from := 0; ; {
		i := bytes.Index(read[from:], sealed)
		if i < 0 {
			return at
		}
		from += i + len(sealed)
		header := read[from:min(len(read), from+maxHeader+1)]
		if j := slices.Index(header, sealKind); j >= 0 && from+j+sealBytes <= len(read) {
			at = append(at, from+j)
		}
	}
}
