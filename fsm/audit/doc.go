// Package audit compares this node's state with the other members'.
//
// Every node applies the same entries by the same rules, so that all states are
// equal. Where one isn't, by a bug, a broken memory or a rotten disk, whatever it
// answers may be wrong, and nothing else would ever notice. The state keeps a hash
// over all that was ever written to it, and notes it at each mark in the log.
// Members tell one another what they have noted; what the majority of the voters
// has is right. A node that has something else refuses to serve.
//
// All of this happens beside the state machine: nothing of it is in any state.
// docs/adr/0010-divergence.md says why so.
package audit
