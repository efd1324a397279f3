package fsm

import (
	"cmp"
	"encoding/binary"
	"slices"
	"strings"
)

// idOrder is what mostly decides where an operation comes in the order of ids.
type idOrder struct {
	ns, op uint32
	begin  uint64 // the id's bytes behind those with which all ids begin, as a number
}

// lastOperations returns, in the order of (namespace, id), the operation that
// decides about each record: the last that names it.
func (w *syncWriter) lastOperations() []uint32 {
	ops, memory := w.entry.Operations, w.entry.memory
	order := memory.order[:0]
	shared := sharedBytes(ops)
	for i := range ops {
		order = append(order, idOrder{w.entry.nsOf[i], uint32(i), beginOf(ops[i].ID[shared:])})
	}
	slices.SortFunc(order, func(a, b idOrder) int {
		if a.ns != b.ns {
			return cmp.Compare(a.ns, b.ns)
		}
		if a.begin != b.begin {
			return cmp.Compare(a.begin, b.begin)
		}
		if c := strings.Compare(ops[a.op].ID, ops[b.op].ID); c != 0 {
			return c
		}
		return cmp.Compare(b.op, a.op) // the last one first
	})
	last := memory.last[:0]
	for i, o := range order {
		if i > 0 && o.ns == order[i-1].ns && o.begin == order[i-1].begin && ops[o.op].ID == ops[order[i-1].op].ID {
			continue
		}
		last = append(last, o.op)
	}
	memory.order, memory.last = order, last
	return last
}

// sharedBytes is with how many bytes all ids begin alike.
func sharedBytes(ops []Operation) int {
	if len(ops) == 0 {
		return 0
	}
	first := ops[0].ID
	n := len(first)
	for i := range ops {
		id := ops[i].ID
		n = min(n, len(id))
		if id[:n] == first[:n] {
			continue
		}
		for n = 0; id[n] == first[n]; n++ {
		}
	}
	return n
}

// beginOf are the first eight bytes of s as a number, with zeros behind a shorter one, so that
// of two strings with different numbers the lesser has the lesser.
func beginOf(s string) uint64 {
	var b [8]byte
	copy(b[:], s)
	return binary.BigEndian.Uint64(b[:])
}
