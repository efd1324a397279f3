package fsm

import (
	"sync"

	"pipesync/storage"
)

// syncMemory is what a decoded sync is in, and what deciding about it takes, two
// megabytes for a full batch. Whoever is done with the sync releases it for the next one.
type syncMemory struct {
	raw        []byte // of the operations block; contents are in it
	operations []Operation
	nsOf       []uint32

	begins []uint64
	order  []uint32
	last   []uint32
	old    []oldRow
	ids    []string

	contents contentOrder // of one namespace, that are to be written
	changes  []storage.ChangeAt
}

var syncMemories = sync.Pool{New: func() any { return new(syncMemory) }}

// release ends the use of all that the sync has, but for names of namespaces. Who keeps
// any of it doesn't call release.
func (e *syncEntry) release() {
	m := e.memory
	*e = syncEntry{}
	if m != nil && cap(m.raw) <= pooledRawBytes {
		syncMemories.Put(m)
	}
}

// zeroed is n zero elements, in the memory of s where they have room.
func zeroed[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	s = s[:n]
	clear(s)
	return s
}
