package operations

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"

	"pipesync/internal/netns"
	"pipesync/internal/testcluster"
)

// begin makes the machines, and has them taken away in the end.
func begin(t *testing.T, lab *netns.Lab, dir string) *walk {
	ctx, cancel := context.WithTimeout(t.Context(), maxWalk)
	t.Cleanup(cancel)
	w := &walk{T: t, ctx: ctx, lab: lab}
	var err error
	w.machines, err = makeMachines(dir, lab, os.Getenv(packageEnv))
	w.must(err)
	for _, m := range w.machines {
		listener, err := m.unit.listenForOrders()
		w.must(err)
		go m.unit.serve(listener)
		t.Cleanup(func() { _ = listener.Close() })
	}
	w.watchLogs()
	t.Cleanup(func() {
		for _, m := range w.sorted() {
			if err := m.unit.kill(); err != nil {
				t.Error(err)
			}
		}
	})
	return w
}

func (w *walk) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *walk) sorted() []*machine {
	var all []*machine
	for _, m := range w.machines {
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b *machine) int { return strings.Compare(a.name, b.name) })
	return all
}

// await polls check until it returns nil.
func (w *walk) await(what string, check func(context.Context) error) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, maxWait)
	defer cancel()
	w.must(testcluster.Await(ctx, what, check))
}

// healthy wants no node to have ended by itself, but those that left.
func (w *walk) healthy() {
	w.Helper()
	for _, m := range w.sorted() {
		if err := m.unit.fault(); err != nil {
			w.Errorf("the node of %s has ended: %v", m.name, err)
		}
	}
}

// end reads everything back, at every node.
func (w *walk) end() {
	w.Helper()
	w.endTraffic()
	w.Log(w.traffic.summary())
	var first string
	for _, m := range w.sorted() {
		if !m.unit.isEnabled() {
			continue
		}
		if err := w.traffic.readBack(w.ctx, m.http()); err != nil {
			w.Error(err)
		}
		if got := w.contents(m.name); first == "" {
			first = got
		} else if got != first {
			w.Errorf("%s has\n%s\nanother node has\n%s", m.name, got, first)
		}
	}
}

// watchLogs has a test fail where a node has crashed, and tells what nodes have logged
// if it fails.
func (w *walk) watchLogs() {
	nodes := &testcluster.Cluster{}
	for _, m := range w.sorted() {
		nodes.Nodes = append(nodes.Nodes, &testcluster.Node{ID: m.name, Log: m.path(logFile)})
	}
	w.Cleanup(func() {
		if err := nodes.Alarms(); err != nil {
			w.Errorf("a node crashed or raced: %v", err)
		}
		if w.Failed() {
			for _, m := range w.sorted() {
				w.Logf("the last that the node of %s has logged, but for requests:\n%s", m.name, m.lastWords())
			}
		}
	})
}
