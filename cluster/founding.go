package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"pipesync/cluster/certs"
)

const (
	// foundingPause is left between two rounds of questions, and grows to the maximum.
	minFoundingPause = 250 * time.Millisecond
	maxFoundingPause = 2 * time.Second
)

// foundingReply is what a node says to another that wants to found a cluster with it.
type foundingReply struct {
	NodeID    string `json:"node_id"`
	ClusterID string `json:"cluster_id,omitempty"` // empty: of none
	// Expects are the peer addresses, sorted, of those with which the node wants to
	// found a cluster; empty: it doesn't want to.
	Expects []string `json:"expects,omitempty"`
}

// FoundTogether forms a cluster of the nodes with these peer addresses, of which this
// node's is one, and which all call it with the same: the node with the smallest id
// bootstraps once it has heard from all of them that they belong to no cluster and expect
// these. It returns the empty string to that node, and to the others the address of a
// member through which to join. Until then it asks again, also when ctx has no deadline.
//
// No two nodes can bootstrap: each would have heard from the other, and ids are for
// ever. Where certificates are used, every node needs one, of the same cluster.
//
// Errors: ErrAlreadyJoined, ErrRemoved, ErrNoCertificate, ErrStopped, ctx's.
func (n *Node) FoundTogether(ctx context.Context, addrs []string) (member string, err error) {
	addrs = slices.Sorted(slices.Values(addrs))
	if err := n.expectOthers(addrs); err != nil {
		return "", fmt.Errorf("founding a cluster: %w", err)
	}
	defer n.expecting.Store(nil)
	told := ""
	for pause := minFoundingPause; ; pause = min(2*pause, maxFoundingPause) {
		step := decideFounding(n.identity().NodeID, addrs, n.askFounders(ctx, addrs))
		switch {
		case step.member != "":
			return step.member, nil
		case step.found:
			return "", n.Bootstrap(ctx)
		}
		if step.waitsFor != told {
			told = step.waitsFor
			n.cfg.Logger.Info("founding a cluster: waiting", "for", told)
		}
		if !n.pause(ctx, pause) {
			return "", fmt.Errorf("founding a cluster: waiting for %s: %w", told, errors.Join(context.Cause(ctx), n.stopped()))
		}
	}
}

// expectOthers has this node answer those with which it wants to found a cluster.
func (n *Node) expectOthers(addrs []string) error {
	id, err := n.unjoined()
	if err != nil {
		return err
	}
	if err := n.checkCertificate(id); err != nil {
		return err
	}
	n.expecting.Store(&addrs)
	return nil
}

func (n *Node) stopped() error {
	if n.isStopping() {
		return ErrStopped
	}
	return nil
}

// founderAnswer is of one address.
type founderAnswer struct {
	foundingReply
	err error
}

func (n *Node) askFounders(ctx context.Context, addrs []string) []founderAnswer {
	answers := make([]founderAnswer, len(addrs))
	var asking sync.WaitGroup
	for i, addr := range addrs {
		asking.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, peerDialTimeout)
			defer cancel()
			raw, err := n.hop.send(ctx, hopRequest{addr: addr, op: opFounding}, nil)
			if err == nil && len(raw) > maxInfoBytes {
				err = fmt.Errorf("%s answers with %d bytes, at most %d", addr, len(raw), maxInfoBytes)
			}
			if err == nil {
				err = json.Unmarshal(raw, &answers[i].foundingReply)
			}
			answers[i].err = err
		})
	}
	asking.Wait()
	return answers
}

// foundingStep is what a node does next: one of these.
type foundingStep struct {
	member   string // join through the node at this address
	found    bool
	waitsFor string
}

func decideFounding(self string, addrs []string, answers []founderAnswer) foundingStep {
	at := map[string]string{} // address by node
	smallest := self
	for i, a := range answers {
		if a.err == nil && a.ClusterID != "" {
			return foundingStep{member: addrs[i]}
		}
	}
	for i, a := range answers {
		addr := addrs[i]
		switch other, twice := at[a.NodeID]; {
		case a.err != nil:
			return foundingStep{waitsFor: fmt.Sprintf("%s: %v", addr, a.err)}
		case twice:
			return foundingStep{waitsFor: fmt.Sprintf("another node at %s or %s: %s answers at both", other, addr, a.NodeID)}
		case !slices.Equal(a.Expects, addrs):
			return foundingStep{waitsFor: fmt.Sprintf("node %s at %s to expect the same nodes: it expects %s, not %s",
				a.NodeID, addr, strings.Join(a.Expects, ","), strings.Join(addrs, ","))}
		}
		at[a.NodeID] = addr
		smallest = min(smallest, a.NodeID)
	}
	switch _, among := at[self]; {
	case !among:
		return foundingStep{waitsFor: fmt.Sprintf("this node itself, %s, to answer at one of %s", self, strings.Join(addrs, ","))}
	case smallest != self:
		return foundingStep{waitsFor: fmt.Sprintf("node %s at %s to form the cluster", smallest, at[smallest])}
	}
	return foundingStep{found: true}
}

// serveFounding is answered by members too, so that who comes late finds them, but to
// nobody without a certificate of the same cluster.
func (n *Node) serveFounding(conn *peerConn) ([]byte, error) {
	if n.cfg.Certs != nil && (conn == nil || conn.peer == certs.Identity{}) {
		return nil, fmt.Errorf("whoever founds a cluster needs a certificate: %w", ErrUnauthorized)
	}
	id := n.identity()
	reply := foundingReply{NodeID: id.NodeID, ClusterID: id.ClusterID}
	if expected := n.expecting.Load(); expected != nil {
		reply.Expects = *expected
	}
	return json.Marshal(reply)
}
