package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"pipesync/client"
	"pipesync/internal/testcluster"
	"pipesync/test/jepsen/history"
)

const (
	// minFaultSeconds to maxFaultSeconds is how long a fault lasts, and minCalmSeconds to
	// maxCalmSeconds the time between two.
	minFaultSeconds, maxFaultSeconds = 1.0, 8.0
	minCalmSeconds, maxCalmSeconds   = 1.0, 4.0
	// recoverySeconds is how long the nemesis waits for the cluster after a fault. The
	// checker wants less.
	recoverySeconds = 60
)

type nemesis struct {
	*run
	rng *rand.Rand
}

// breakThings does one fault after the other, now and then two that overlap, and has the
// cluster recover. A kind comes again when all others have had their turn.
func (r *run) breakThings(ctx context.Context) error {
	n := &nemesis{run: r, rng: rand.New(rand.NewPCG(r.seed, 1<<32))}
	choice, err := n.choose()
	if err != nil {
		return err
	}
	for {
		n.rng.Shuffle(len(choice), func(i, j int) { choice[i], choice[j] = choice[j], choice[i] })
		for _, f := range choice {
			if !n.pause(ctx, n.seconds(n.pace*minCalmSeconds, n.pace*maxCalmSeconds)) {
				return nil
			}
			kinds := []fault{f}
			if n.rng.IntN(combinedIn) == 0 {
				if g := n.beside(f, choice); g != nil {
					kinds = append(kinds, *g)
				}
			}
			if err := n.together(ctx, kinds...); err != nil {
				return err
			}
		}
	}
}

// choose are the kinds that were asked for, without those that can't be made here.
func (n *nemesis) choose() (choice []fault, err error) {
	for _, f := range n.kinds() {
		if !n.wanted(f.kind) {
			continue
		}
		if why := n.lacks(f); why != nil {
			n.say("NOT RUN: %s: %v", f.kind, why)
			n.hist.NotRun = append(n.hist.NotRun, history.NotRun{Kind: f.kind, Why: why.Error()})
			continue
		}
		choice = append(choice, f)
	}
	if len(choice) == 0 {
		return nil, fmt.Errorf("--fault is %q: none of these can be made here", n.only)
	}
	return choice, nil
}

// wanted says whether a kind of fault was asked for.
func (o options) wanted(kind string) bool {
	for name := range strings.SplitSeq(o.only, ",") {
		if strings.HasPrefix(kind, strings.TrimSpace(name)) {
			return true
		}
	}
	return false
}

// lacks is why a fault can't be made here; nil: it can.
func (n *nemesis) lacks(f fault) error {
	switch {
	case n.nodes < f.nodes:
		return fmt.Errorf("it takes %d nodes", f.nodes)
	case f.needs != nil:
		return f.needs()
	}
	return nil
}

// lasting is a fault that has begun.
type lasting struct {
	*broken
	told history.Fault
}

// together has one fault or several begin, one after the other, and heals them all.
func (n *nemesis) together(ctx context.Context, kinds ...fault) (err error) {
	// What is broken is healed, also after the time is over.
	patient := context.WithoutCancel(ctx)
	began, cancel := context.WithTimeout(patient, startSeconds*time.Second)
	defer cancel()
	var all []*lasting
	var lasts time.Duration
	for _, f := range kinds {
		n.burst(ctx)
		l, failed := n.begin(began, f)
		if failed != nil {
			return errors.Join(failed, n.heal(began, all))
		}
		all = append(all, l)
		lasts = max(l.lasts, n.seconds(n.pace*minFaultSeconds, n.pace*maxFaultSeconds))
		if l.busy {
			n.bursts.begin(lasts + burstTime)
		}
		if len(all) < len(kinds) {
			lasts /= 2
		}
		n.pause(ctx, lasts)
	}
	if err := n.heal(began, all); err != nil {
		return err
	}
	healed, recovered := n.now(), time.Duration(0)
	if n.recovered(patient) {
		recovered = n.now()
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, l := range all {
		l.told.Healed, l.told.Recovered = healed, recovered
		n.hist.Faults = append(n.hist.Faults, l.told)
	}
	return nil
}

func (n *nemesis) begin(ctx context.Context, f fault) (*lasting, error) {
	l := &lasting{told: history.Fault{Kind: f.kind, Began: n.now()}}
	var err error
	if l.broken, err = f.begin(ctx, n); err != nil {
		return nil, fmt.Errorf("%s: %w", f.kind, err)
	}
	for _, node := range l.on {
		l.told.On = append(l.told.On, node.ID)
	}
	l.told.Proof = l.proof
	n.say("%s on %s: %s", f.kind, strings.Join(l.told.On, ", "), cmp.Or(l.proof, "no effect"))
	return l, nil
}

// heal heals faults one after the other, in any order.
func (n *nemesis) heal(ctx context.Context, all []*lasting) error {
	var errs []error
	for _, i := range n.rng.Perm(len(all)) {
		n.burst(ctx)
		if err := all[i].heal(ctx); err != nil {
			errs = append(errs, fmt.Errorf("healing %s on %s: %w", all[i].told.Kind, strings.Join(all[i].told.On, ", "), err))
		}
	}
	return errors.Join(errs...)
}

// burst has clients send as fast as they can from a moment before something happens.
func (n *nemesis) burst(ctx context.Context) {
	n.bursts.begin(burstTime)
	n.pause(ctx, burstLead)
}

// recovered waits until a sync was acknowledged through every node.
func (n *nemesis) recovered(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, recoverySeconds*time.Second)
	defer cancel()
	for i, node := range n.cluster.Nodes {
		err := testcluster.Await(ctx, "a sync through "+node.ID, func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, adminSeconds*time.Second)
			defer cancel()
			return n.probeThrough(ctx, i)
		})
		if err != nil {
			n.say("%v", err)
			return false
		}
	}
	return true
}

func (n *nemesis) probeThrough(ctx context.Context, node int) error {
	_, err := n.probe.at[node].Sync(ctx, client.SyncRequest{OrganizationID: n.probe.org, Mode: client.Incremental,
		Operations: []client.Operation{{Action: client.Upsert, Namespace: "ns", ID: fmt.Sprint(node), Data: json.RawMessage(`{}`)}}})
	return err
}

func (n *nemesis) seconds(from, to float64) time.Duration {
	return time.Duration((from + n.rng.Float64()*(to-from)) * float64(time.Second))
}

// pause returns false if ctx ends meanwhile.
func (n *nemesis) pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

func (n *nemesis) any() *testcluster.Node { return n.cluster.Nodes[n.rng.IntN(len(n.cluster.Nodes))] }

func (n *nemesis) shuffled() []*testcluster.Node {
	all := slices.Clone(n.cluster.Nodes)
	n.rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// host is the number of a node's host, also a spare's, in the lab.
func (n *nemesis) host(node *testcluster.Node) int {
	return slices.Index(slices.Concat(n.cluster.Nodes, n.cluster.Spares), node)
}

// each does something with all of a kind.
func each[T any](of []T, do func(T) error) error {
	var all []error
	for _, one := range of {
		all = append(all, do(one))
	}
	return errors.Join(all...)
}
