// Package cluster is a replicated log of bytes and the membership of those who
// keep it. It knows nothing of what the bytes mean: a StateMachine applies them,
// a Gate admits and stamps them on the leader.
//
// # One listener
//
// A node has one peer port. Each connection starts with a preamble that names
// the cluster and what follows: Raft's stream, or HTTP/1.1 for the calls that
// members make to each other (preamble.go, mux.go). A node of another cluster
// is refused before a byte of either is read.
//
// # One way to the leader
//
// Everything that only the leader can do (append, confirm a read, change the
// membership) is an operation: the leader runs it directly, another node sends
// it over one hop. Callers see the same replies and the same classes of errors
// either way (operations.go, outcome.go). A request names the term that it
// addresses and a leader of another term refuses it, so that what was decided
// for one term never reaches another.
//
// # Classes of outcomes
//
// Each failed proposal is either not applied, for certain and for ever, or its
// outcome is unknown. Only the first is ever retried here. Raft's errors, a
// broken connection and the state machine's response are sorted into the two
// in exactly one place each: classifyApply, classifyResponse and hop.
//
// # Reads
//
// ReadIndex confirms leadership by numbered AppendEntries, never by a lease or
// by VerifyLeader alone (numbered.go, readindex.go).
package cluster
