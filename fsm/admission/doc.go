// Package admission is the leader's side of the state machine: what is decided about
// a proposal before it goes to the log.
//
// A proposal that can't be an entry is turned away, so that no poison entry ever
// reaches a state machine. A sync that the applied state refuses is answered without
// an entry, so that a flood of refused syncs costs the log nothing. All that the gate
// decides is advice: Apply decides again, by the same function, on every node alike.
// The gate may let through what Apply then refuses. It never refuses what Apply would
// have admitted at that moment, but for an API key of whose syncs Apply has refused too
// many: each of those has cost an entry.
//
// It also stamps each entry with cluster time, the only clock that rate windows and
// retentions see. docs/adr/0003-cluster-time.md says why it never runs fast.
package admission
