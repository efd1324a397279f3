// Package layout holds the tests that keep the shape of the repository: which
// package may import which, and what the state machine must never do because
// every node has to compute the same from the same log.
package layout
