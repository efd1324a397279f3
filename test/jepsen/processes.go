package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"pipesync/internal/testcluster"
)

var processFaults = []fault{
	{kind: "kill of the leader", begin: onLeader(kill)},
	{kind: "kill of a member", begin: onAny(kill)},
	{kind: "kill of all", begin: onAll(kill)},
	{kind: "kill of a majority", begin: killMajority},
	{kind: "pause of the leader", begin: onLeader(stop)},
	{kind: "pause of a member", begin: onAny(stop)},
	{kind: "pause of a majority", begin: onMajority(stop)},
	{kind: "restart of the leader", begin: onLeader(restart)},
	{kind: "restart of a member", begin: onAny(restart)},
}

// restarts starts all at once: a majority may have to be there before one is ready.
func restarts(nodes []*testcluster.Node) func(context.Context) error {
	return func(context.Context) error {
		return each(nodes, func(n *testcluster.Node) error { return n.Start() })
	}
}

// kill ends processes without warning.
func kill(_ context.Context, _ *nemesis, nodes []*testcluster.Node) (*broken, error) {
	err := each(nodes, (*testcluster.Node).Kill9)
	b := &broken{on: nodes, heal: restarts(nodes)}
	if gone(nodes) {
		b.proof = "the processes are gone"
	}
	return b, err
}

// requestSeconds is longer than a node goes on with a request.
const requestSeconds = 11

// killMajority leaves a minority alone with the requests that they have sent to the
// leader, for so long that they have to say what became of them.
func killMajority(ctx context.Context, n *nemesis) (*broken, error) {
	leader, err := n.cluster.Leader(ctx)
	if err != nil {
		return nil, err
	}
	nodes := []*testcluster.Node{leader}
	for _, node := range n.shuffled() {
		if node != leader && len(nodes) <= n.nodes/2 {
			nodes = append(nodes, node)
		}
	}
	b, err := kill(ctx, n, nodes)
	b.lasts = requestSeconds * time.Second
	return b, err
}

func gone(nodes []*testcluster.Node) bool {
	for _, n := range nodes {
		if _, err := os.Stat(fmt.Sprintf("/proc/%d", n.Process().Pid())); err == nil {
			return false
		}
	}
	return true
}

// restart asks processes to end, as an operator does.
func restart(ctx context.Context, _ *nemesis, nodes []*testcluster.Node) (*broken, error) {
	err := each(nodes, func(n *testcluster.Node) error { return n.Stop(ctx) })
	b := &broken{on: nodes, heal: restarts(nodes)}
	if gone(nodes) {
		b.proof = "the processes have ended with 0"
	}
	return b, err
}

// stop has processes do nothing for a while, with all their connections open.
func stop(_ context.Context, _ *nemesis, nodes []*testcluster.Node) (*broken, error) {
	err := each(nodes, (*testcluster.Node).Pause)
	b := &broken{on: nodes, heal: func(context.Context) error { return each(nodes, (*testcluster.Node).Continue) }}
	for _, n := range nodes {
		if state := stateOf(n.Process().Pid()); state != "T" {
			return b, err
		}
	}
	b.proof = "the kernel calls the processes stopped"
	return b, err
}

// stateOf is the state of a process as the kernel has it, once it is that of a stopped
// one or half a second has passed: a thread in a system call stops at its end.
func stateOf(pid int) (state string) {
	for range 50 {
		if state = stateNow(pid); state == "T" || state == "" {
			return state
		}
		time.Sleep(10 * time.Millisecond)
	}
	return state
}

// stateNow is the letter that the kernel has for the state of a process; empty: it is gone.
func stateNow(pid int) string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	_, after, _ := strings.Cut(string(text), ") ")
	state, _, _ := strings.Cut(after, " ")
	return state
}
