package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"pipesync/client"
	"pipesync/internal/netns"
	"pipesync/internal/testcluster"
)

var snapshotFaults = []fault{
	{kind: "snapshot cut off on its way to a member", needs: netns.CanSlow, begin: onAny(interruptSnapshot)},
	{kind: "snapshot into another history", needs: netns.CanCutLinks, begin: onLeader(overrule)},
}

const (
	// snapshotBytes of log have a node take a snapshot, and it keeps as little of the log
	// behind it as it can, trailingEntries.
	snapshotBytes   = 128 << 10
	trailingEntries = 16
	// fillerBytes of data are in each sync that is there to fill the log, and
	// maxFillers are sent for one fault.
	fillerBytes, maxFillers = 8 << 10, 500
	// lonelyBytes are in those that nobody but the leader logs, which as many clients send
	// as lonelyClients.
	lonelyBytes, lonelyClients = 256, 300
	// fillerKeys are what they send with: of one key a leader has few in flight.
	fillerKeys = 10
	// fillers are sent at a time.
	fillers = 8

	// transferBytes a second of a snapshot reach a member.
	transferBytes = 32 << 10
	// transferSeconds is how long a snapshot may take to begin to arrive, and installSeconds
	// until it is installed.
	transferSeconds, installSeconds = 5, 15
	// maxInterruption of a snapshot, and a tenth of it at least.
	maxInterruption = 3 * time.Second

	restoresMetric, snapshotMetric = "pipesync_snapshot_restores_total", "pipesync_snapshot_index"
)

// snapshotEnvironment has nodes take a snapshot every few seconds.
func snapshotEnvironment() []string {
	return []string{fmt.Sprint("PIPESYNC_RAFT_SNAPSHOT_BYTES=", snapshotBytes), "PIPESYNC_RAFT_TRAILING_BYTES=1"}
}

// interruptSnapshot cuts a member off until the others have no more the log that it lacks,
// and again while it gets their snapshot.
func interruptSnapshot(ctx context.Context, n *nemesis, nodes []*testcluster.Node) (*broken, error) {
	node, host := nodes[0], n.host(nodes[0])
	b := &broken{on: nodes, heal: nothing}
	last, restores, err := n.beforeSnapshot(ctx, node)
	if err != nil {
		return b, nil // it may be down
	}
	if err := n.lab.Cut(host); err != nil {
		return b, err
	}
	through, err := n.outgrow(ctx, node, last)
	if err != nil {
		return b, errors.Join(err, n.lab.Heal(host))
	}
	if err := errors.Join(n.lab.Slow(host, transferBytes), n.lab.Heal(host)); err != nil {
		return b, err
	}
	interrupted := n.arriving(ctx, node)
	if interrupted {
		if err := n.lab.Cut(host); err != nil {
			return b, err
		}
		n.pause(ctx, n.seconds(maxInterruption.Seconds()/10, maxInterruption.Seconds()))
	}
	if err := errors.Join(n.lab.Hasten(host), n.lab.Heal(host)); err != nil {
		return b, err
	}
	if through && n.installed(ctx, node, restores) {
		b.proof = "it has installed a snapshot"
		if interrupted {
			b.proof += ", of which a part had come before it was cut off"
		}
	}
	return b, nil
}

// overrule has a leader log what nobody else gets, and then be sent a snapshot that ends
// among that: https://github.com/hashicorp/raft/issues/697.
func overrule(ctx context.Context, n *nemesis, nodes []*testcluster.Node) (*broken, error) {
	leader := nodes[0]
	b := &broken{on: nodes, heal: nothing}
	_, restores, err := n.beforeSnapshot(ctx, leader)
	if err != nil {
		return b, nil
	}
	var others []*testcluster.Node
	var hosts []int
	for _, o := range n.cluster.Nodes {
		if o != leader {
			others, hosts = append(others, o), append(hosts, n.host(o))
		}
	}
	alone := []int{n.host(leader)}
	links := append(between(alone, hosts), between(hosts, alone)...)
	lonely := n.keepFilling(ctx, leader)
	for _, l := range links {
		err = errors.Join(err, n.lab.CutLink(l.from, l.to))
	}
	var common uint64
	for _, o := range others {
		status, asked := o.Client().Status(ctx)
		common, err = max(common, status.LastLogIndex), errors.Join(err, asked)
	}
	lonely()
	if err != nil {
		return b, err
	}
	status, err := leader.Client().Status(ctx)
	through := false
	if err == nil {
		through, err = n.outgrow(ctx, leader, common)
	}
	for _, l := range links {
		err = errors.Join(err, n.lab.HealLink(l.from, l.to))
	}
	if err != nil || !through || !n.installed(ctx, leader, restores) {
		return b, err
	}
	index, err := metric(ctx, leader, snapshotMetric)
	if err == nil && index <= status.LastLogIndex {
		b.proof = fmt.Sprintf("it had logged up to %d alone, and has installed a snapshot that ends at %d", status.LastLogIndex, index)
	}
	return b, nil
}

// beforeSnapshot is the end of a node's log, and how many snapshots it has installed.
func (n *nemesis) beforeSnapshot(ctx context.Context, node *testcluster.Node) (last, restores uint64, err error) {
	status, err := node.Client().Status(ctx)
	if err != nil {
		return 0, 0, err
	}
	restores, err = metric(ctx, node, restoresMetric)
	return status.LastLogIndex, restores, err
}

// outgrow has the leader of the others log until it has cut all that a member needs whose
// log ends at last, and says whether it has.
func (n *nemesis) outgrow(ctx context.Context, without *testcluster.Node, last uint64) (bool, error) {
	leader, err := n.leaderBut(ctx, without)
	if err != nil {
		return false, err
	}
	for range maxFillers / fillers {
		index, err := metric(ctx, leader, snapshotMetric)
		if err != nil {
			return false, nil // it may be another that leads by now
		}
		if index > last+trailingEntries+fillers {
			return true, nil
		}
		status, err := leader.Client().Status(ctx)
		if err != nil || status.Role != "leader" {
			return false, nil
		}
		if status.Sizes.LogSinceSnapshot >= snapshotBytes && status.LastLogIndex > last+trailingEntries+2*fillers {
			n.pause(ctx, pollEvery) // it is about to take one
			continue
		}
		n.fillSome(ctx, leader)
	}
	return false, nil
}

// fillSome has some large syncs be logged through a node, at a time.
func (n *nemesis) fillSome(ctx context.Context, node *testcluster.Node) {
	var all sync.WaitGroup
	for i := range fillers {
		all.Go(func() { _ = n.fill(ctx, node, i, fillerBytes) })
	}
	all.Wait()
}

// leaderBut is the leader of the others, once they have one.
func (n *nemesis) leaderBut(ctx context.Context, without *testcluster.Node) (leader *testcluster.Node, err error) {
	err = testcluster.Await(ctx, "a leader beside "+without.ID, func(ctx context.Context) error {
		for _, o := range n.cluster.Nodes {
			ask, cancel := context.WithTimeout(ctx, adminSeconds*time.Second)
			status, err := o.Client().Status(ask)
			cancel()
			if err == nil && o != without && status.Role == "leader" && status.Ready {
				leader = o
				return nil
			}
		}
		return errors.New("nobody leads")
	})
	return leader, err
}

// keepFilling has many clients sync through a node, each until it gets no answer any
// more, and returns what waits for that.
func (n *nemesis) keepFilling(ctx context.Context, node *testcluster.Node) (wait func()) {
	var all sync.WaitGroup
	var begun sync.WaitGroup
	begun.Add(lonelyClients)
	for i := range lonelyClients {
		all.Go(func() {
			err := n.fill(ctx, node, i, lonelyBytes)
			begun.Done()
			for err == nil {
				err = n.fill(ctx, node, i, lonelyBytes)
			}
		})
	}
	begun.Wait()
	return all.Wait
}

// fill has something of a size that doesn't compress be logged through a node.
func (n *nemesis) fill(ctx context.Context, node *testcluster.Node, number, bytes int) error {
	ctx, cancel := context.WithTimeout(ctx, adminSeconds*time.Second)
	defer cancel()
	noise := make([]byte, bytes/2)
	_, _ = rand.Read(noise) // never fails
	_, err := n.fillers[number%fillerKeys].at[n.host(node)].Sync(ctx, client.SyncRequest{OrganizationID: probeOrg, Mode: client.Incremental,
		Operations: []client.Operation{{Action: client.Upsert, Namespace: "filler", ID: fmt.Sprint(number),
			Data: json.RawMessage(fmt.Sprintf(`{"noise":"%x"}`, noise))}}})
	return err
}

// arriving waits a while until a part of a snapshot is on a node's disk.
func (n *nemesis) arriving(ctx context.Context, node *testcluster.Node) bool {
	ctx, cancel := context.WithTimeout(ctx, transferSeconds*time.Second)
	defer cancel()
	return testcluster.Await(ctx, "a snapshot to arrive at "+node.ID, func(context.Context) error {
		if !snapshotting(node) {
			return os.ErrNotExist
		}
		return nil
	}) == nil
}

// installed waits until a node has installed one more snapshot than before.
func (n *nemesis) installed(ctx context.Context, node *testcluster.Node, before uint64) bool {
	ctx, cancel := context.WithTimeout(ctx, installSeconds*time.Second)
	defer cancel()
	return testcluster.Await(ctx, "a snapshot in "+node.ID, func(ctx context.Context) error {
		restores, err := metric(ctx, node, restoresMetric)
		if err == nil && restores <= before {
			err = errors.New("it has installed none")
		}
		return err
	}) == nil
}

// metric is one of a node's that has no labels and is a whole number.
func metric(ctx context.Context, node *testcluster.Node, name string) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, adminSeconds*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, node.HTTP+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	return readMetric(resp.Body, name)
}

func readMetric(from io.Reader, name string) (uint64, error) {
	lines := bufio.NewScanner(from)
	for lines.Scan() {
		if text, found := strings.CutPrefix(lines.Text(), name+" "); found {
			value, err := strconv.ParseFloat(text, 64)
			return uint64(value), err
		}
	}
	return 0, errors.Join(fmt.Errorf("there is no metric %s", name), lines.Err())
}
