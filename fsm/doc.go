// Package fsm is the meaning of the replicated log: a pure function of (state,
// entry, stamp), and the views through which the state is read.
//
// An entry's body is encoded once, by the node that accepts the request (Encode),
// and decided once on every node (FSM.Apply). The leader adds a Stamp when it
// appends the body: its term, cluster time, wall time and a checksum. Apply
// reads no clock, mints nothing, and iterates over no map, so that the same
// entries leave the same rows everywhere. What it decides is a Result; a refusal
// is a Result too. What it can't decide ends the process through Options.Fatal:
// raft takes any response for success.
//
// The rows of an entry, the applied index among them, are one storage batch.
// Storage has no log of its own: after a crash raft replays what is missing, and
// Apply skips what is there.
package fsm
