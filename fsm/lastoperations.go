package fsm

import (
	"cmp"
	"encoding/binary"
	"slices"
	"strings"
)

// opBits are of the number of an operation.
const opBits = 13

const _ = uint(1<<opBits - MaxOperations) // there is room for all

// lastOperations returns, in the order of (namespace, id), the operation that
// decides about each record: the last that names it.
func (e *syncEntry) lastOperations() []uint32 {
	ops, memory := e.Operations, e.memory
	order := e.idOrder()
	last := memory.last[:0]
	for i, op := range order {
		if i > 0 && e.nsOf[op] == e.nsOf[order[i-1]] && ops[op].ID == ops[order[i-1]].ID {
			continue
		}
		last = append(last, op)
	}
	memory.last = last
	return last
}

// idOrder are the operations in the order of (namespace, id), and of one id the last one first.
// Numbers are sorted several times as fast as strings: each has the beginning of an id, and
// only where beginnings are equal ids are compared.
func (e *syncEntry) idOrder() []uint32 {
	ops, nsOf, memory := e.Operations, e.nsOf, e.memory
	begins := memory.begins[:0]
	shared := sharedBytes(ops)
	for i := range ops {
		begins = append(begins, beginOf(ops[i].ID[shared:])>>opBits<<opBits|uint64(i))
	}
	slices.Sort(begins)
	order := memory.order[:0]
	for _, begin := range begins {
		order = append(order, uint32(begin&(1<<opBits-1)))
	}
	for from, to := 0, 1; from < len(order); from, to = to, to+1 {
		for to < len(order) && begins[to]>>opBits == begins[from]>>opBits {
			to++
		}
		if to > from+1 {
			slices.SortFunc(order[from:to], func(a, b uint32) int {
				return cmp.Or(strings.Compare(ops[a].ID, ops[b].ID), cmp.Compare(b, a))
			})
		}
	}
	if slices.ContainsFunc(nsOf, func(ns uint32) bool { return ns != nsOf[0] }) {
		slices.SortStableFunc(order, func(a, b uint32) int { return cmp.Compare(nsOf[a], nsOf[b]) })
	}
	memory.begins, memory.order = begins, order
	return order
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

// idsOf are the ids of operations, in memory that the next call uses again.
func (e *syncEntry) idsOf(operations []uint32) []string {
	ids := e.memory.ids[:0]
	for _, op := range operations {
		ids = append(ids, e.Operations[op].ID)
	}
	e.memory.ids = ids
	return ids
}
