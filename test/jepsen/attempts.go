package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"pipesync/client"
	"pipesync/internal/testcluster"
	"pipesync/test/jepsen/history"
)

// attemptFaults try what a cluster has to refuse.
var attemptFaults = []fault{
	{kind: "stranger at the peer ports", begin: stranger},
	{kind: "member that looks at no scope", begin: lenientMember},
	{kind: "join token used twice", begin: joinTwice},
	{kind: "gossip key rotated while a member stands still", begin: onAny(rotateWithout)},
}

// attempted notes an attempt and whether it succeeded.
func (n *nemesis) attempted(a history.Attempt) {
	a.At = n.now()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hist.Attempts = append(n.hist.Attempts, a)
}

// stranger shows each node at its peer port a certificate for a member's name, by a CA
// that isn't the cluster's. That a member's own is taken there proves that it is asked
// rightly.
func stranger(ctx context.Context, n *nemesis) (*broken, error) {
	b := &broken{on: n.cluster.Nodes, heal: nothing}
	status, err := n.cluster.Nodes[0].Client().Status(ctx)
	if err != nil {
		return b, nil // it is slow just now
	}
	dir, err := os.MkdirTemp("", "pipesync-stranger-")
	if err != nil {
		return b, err
	}
	ca, forged := filepath.Join(dir, "ca"), filepath.Join(dir, "certs")
	if err := errors.Join(
		n.cluster.Run("certs", "ca", "--out", ca, "--cluster-id", status.ClusterID),
		n.cluster.Run("certs", "node", "--ca", ca, "--node-id", n.cluster.Nodes[0].ID, "--out", forged)); err != nil {
		return b, err
	}
	taken := 0
	for _, node := range n.cluster.Nodes[1:] {
		in, err := knock(ctx, node, status.ClusterID, n.cluster.Nodes[0].CertsDir())
		if err != nil || in != "" {
			continue
		}
		taken++
		said, err := knock(ctx, node, status.ClusterID, forged)
		if err == nil {
			n.attempted(history.Attempt{What: "to be taken for a member with a certificate of another CA", Node: node.ID, Succeeded: said == "", Said: said})
		}
	}
	if taken > 0 {
		b.proof = fmt.Sprintf("with a member's certificate %d take it for that", taken)
	}
	return b, os.RemoveAll(dir)
}

// knock dials the peer port of a node as another that calls. It returns what the node
// says if it refuses; empty: it doesn't.
func knock(ctx context.Context, node *testcluster.Node, clusterID, certs string) (refusal string, err error) {
	conn, refusal, err := dialPeer(ctx, node, clusterID, certs)
	if conn != nil {
		_ = conn.Close()
	}
	return refusal, err
}

// joinTwice has two nodes try to join with one token.
func joinTwice(ctx context.Context, n *nemesis) (*broken, error) {
	first, second := n.cluster.Spares[0], n.cluster.Spares[1]
	b := &broken{on: []*testcluster.Node{first, second}}
	b.heal = func(ctx context.Context) error {
		for _, spare := range b.on {
			m, err := memberOf(ctx, n.any(), spare)
			if err != nil {
				return err
			}
			if m == nil {
				err = errors.Join(spare.Kill9(), wipe(ctx, spare))
			} else {
				err = n.leaves(ctx, spare)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	via := n.any()
	var token client.NewToken
	err := testcluster.Await(ctx, "a join token", func(ctx context.Context) (err error) {
		token, err = via.Client().CreateToken(ctx, 0)
		return err
	})
	if err != nil {
		return b, err
	}
	for _, spare := range b.on {
		if err := spare.Start(); err != nil {
			return b, err
		}
		if err := spare.AwaitLive(ctx); err != nil {
			return b, err
		}
	}
	join := func(spare *testcluster.Node) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := spare.Client().Join(ctx, client.JoinRequest{Peer: via.Peer, Token: token.Token})
			switch codeOf(err) {
			case "ALREADY_JOINED":
				return nil
			case "JOIN_REFUSED":
				n.attempted(history.Attempt{What: "to join with a token that was used", Node: spare.ID, Said: err.Error()})
				return nil
			}
			return err
		}
	}
	for _, spare := range b.on {
		if err := testcluster.Await(ctx, spare.ID+" to join", join(spare)); err != nil {
			return b, err
		}
	}
	for i, spare := range b.on {
		m, err := memberOf(ctx, via, spare)
		switch {
		case err != nil:
			return b, err
		case i == 0 && m != nil:
			b.proof = "the first is a member"
		case i == 1 && m != nil:
			n.attempted(history.Attempt{What: "to join with a token that was used", Node: spare.ID, Succeeded: true})
		}
	}
	return b, nil
}

const (
	// rotationSeconds is for how long a rotation is looked at. Members that are silent for
	// longer than 30 s may be dead, and nobody waits for them.
	rotationSeconds = 8
	// rotatedSeconds is how long one may take when all members are there again.
	rotatedSeconds = 60
)

// rotateWithout has the gossip key be replaced while one member can't learn of the new
// one. The old one must be good until it has.
func rotateWithout(ctx context.Context, n *nemesis, nodes []*testcluster.Node) (*broken, error) {
	still, via := nodes[0], n.another(nodes[0])
	b := &broken{on: nodes, heal: func(ctx context.Context) error {
		if err := still.Continue(); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(ctx, rotatedSeconds*time.Second)
		defer cancel()
		return testcluster.Await(ctx, "the end of the rotation of the gossip key", func(ctx context.Context) error {
			keys, err := via.Client().GossipKeys(ctx)
			if err == nil && keys.Rotating {
				err = fmt.Errorf("it waits for %v", keys.WaitingFor)
			}
			return err
		})
	}}
	if err := still.Pause(); err != nil {
		return b, err
	}
	rotating, cancel := context.WithTimeout(ctx, rotationSeconds*time.Second)
	defer cancel()
	var begun client.GossipKeys
	err := testcluster.Await(rotating, "a rotation of the gossip key", func(ctx context.Context) (err error) {
		begun, err = via.Client().RotateGossipKey(ctx)
		if codeOf(err) == "GOSSIP_KEY_ROTATING" { // an answer was lost
			begun, err = via.Client().GossipKeys(ctx)
		}
		return err
	})
	if err != nil || !begun.Rotating {
		return b, nil // there was no leader in time
	}
	b.proof = "the rotation has begun, and the kernel calls the member stopped: " + stateOf(still.Process().Pid())
	attempt := history.Attempt{What: "to replace the gossip key of a member that can't know of it", Node: still.ID}
	for n.pause(rotating, pollEvery) {
		if keys, err := via.Client().GossipKeys(rotating); err == nil && keys.Revision > begun.Revision {
			attempt.Succeeded = true
		}
	}
	n.attempted(attempt)
	return b, nil
}
