package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"pipesync/cluster"
	"pipesync/fsm"
	"pipesync/storage"
)

const (
	// Cluster defaults, written once by the founder and replicated from then on.
	// The window is a minute of the slowest clock allowed, 0.1 % slow.
	defaultRequestsPerWindow = 100
	defaultWindowMillis      = 60_060
	// A week, in which whatever is late with old data should have come.
	defaultTombstoneRetentionSeconds = 7 * 24 * 60 * 60
	// A day, in which whatever retries a sync has come back.
	defaultIdempotencyRetentionSeconds = 24 * 60 * 60
	defaultIdempotencyKeysMax          = 100_000
	// A month.
	defaultHistoryRetentionSeconds = 30 * 24 * 60 * 60
	defaultHistorySyncsMax         = 100_000
	defaultStoreNamespacesMax      = 100_000
	// Dead members stay until somebody decides otherwise; then three voters, which
	// tolerate a failure.
	defaultMinVoters = 3

	proposeAttempt = 10 * time.Second
	foundPause     = 250 * time.Millisecond
	firstJoinWait  = 250 * time.Millisecond
	maxJoinWait    = 10 * time.Second
)

// form makes the node part of a cluster, as far as it is told to and isn't yet.
// It returns an error only if trying again is of no use.
func (n *node) form(ctx context.Context) error {
	status := n.cluster.Status()
	switch {
	case status.ClusterID != "":
		n.log.Info("going on as a member", "cluster", status.ClusterID)
	case n.Bootstrap:
		err := n.cluster.Bootstrap(ctx)
		if errors.Is(err, cluster.ErrReseeded) {
			n.log.Warn("waiting to be told to join: pipesync join PEER_ADDR --token-file FILE", "reason", err)
			return nil
		}
		if err != nil && !errors.Is(err, cluster.ErrAlreadyJoined) {
			return fmt.Errorf("forming a cluster: %w", err)
		}
		n.log.Info("formed a cluster", "cluster", n.cluster.Status().ClusterID)
	case n.BootstrapExpect > 0:
		member, err := n.cluster.FoundTogether(ctx, n.joinAddrs())
		if err != nil && !errors.Is(err, cluster.ErrAlreadyJoined) {
			return fmt.Errorf("forming a cluster of %d nodes: %w", n.BootstrapExpect, err)
		}
		if member != "" {
			return n.joinCluster(ctx, []string{member})
		}
		n.log.Info("formed a cluster", "cluster", n.cluster.Status().ClusterID)
	case n.Join != "":
		return n.joinCluster(ctx, n.joinAddrs())
	default:
		n.log.Info("waiting to be told to join: pipesync join PEER_ADDR --token-file FILE")
	}
	if n.cluster.Founder() {
		return n.found(ctx)
	}
	return nil
}

// joinCluster asks at one address after the other until the cluster answers. Only a
// refusal ends it.
func (n *node) joinCluster(ctx context.Context, addrs []string) error {
	for i, wait := 0, firstJoinWait; ; i, wait = (i+1)%len(addrs), min(2*wait, maxJoinWait) {
		peer := addrs[i]
		n.log.Info("joining", "peer", peer)
		err := n.cluster.Join(ctx, peer, n.secrets.joinToken, false)
		switch {
		case err == nil, errors.Is(err, cluster.ErrAlreadyJoined):
			n.log.Info("joined", "cluster", n.cluster.Status().ClusterID)
			return nil
		case errors.Is(err, cluster.ErrRemoved):
			return err
		case errors.Is(err, cluster.ErrUnauthorized):
			return &exitError{code: exitRemote, err: fmt.Errorf("joining the cluster at %s: %w", peer, err),
				hint: joinTokenHint}
		case errors.Is(err, cluster.ErrNoCertificate):
			return &exitError{code: exitRemote, err: fmt.Errorf("joining the cluster at %s: %w", peer, err),
				hint: refusalHints["NO_CERTIFICATE"]}
		case errors.Is(err, cluster.ErrVersionTooOld):
			return &exitError{code: exitRemote, err: fmt.Errorf("joining the cluster at %s: %w", peer, err),
				hint: refusalHints["NODE_TOO_OLD"]}
		case errors.Is(err, cluster.ErrIDTaken):
			return &exitError{code: exitRemote, err: fmt.Errorf("joining the cluster at %s: %w", peer, err),
				hint: refusalHints["NODE_ID_TAKEN"]}
		}
		n.log.Warn("could not join yet", "peer", peer, "error", err, "again_in", wait)
		if err := pause(ctx, wait); err != nil {
			return err
		}
	}
}

// found proposes the cluster's first command until the state has one. A crash
// between forming the cluster and this is made up for by the next start.
func (n *node) found(ctx context.Context) error {
	body, err := n.bootstrapCommand()
	if err != nil {
		return fmt.Errorf("encoding the cluster's first command: %w", err)
	}
	for {
		done, err := n.founded()
		if err == nil && !done {
			err = n.propose(ctx, body)
			done = err == nil
		}
		if done {
			return nil
		}
		if ctx.Err() == nil {
			n.log.Warn("could not write the cluster's settings yet", "error", err)
		}
		if err := pause(ctx, foundPause); err != nil {
			return err
		}
	}
}

func (n *node) bootstrapCommand() ([]byte, error) {
	command := &fsm.Bootstrap{
		ClusterID: n.cluster.Status().ClusterID,
		Settings: storage.Settings{
			Limits:                      storage.Limits{RequestsPerWindow: defaultRequestsPerWindow},
			WindowMillis:                defaultWindowMillis,
			AdminTokenHash:              sha256.Sum256([]byte(n.secrets.adminToken)),
			TombstoneRetentionSeconds:   defaultTombstoneRetentionSeconds,
			IdempotencyRetentionSeconds: defaultIdempotencyRetentionSeconds,
			IdempotencyKeysMax:          defaultIdempotencyKeysMax,
			HistoryRetentionSeconds:     defaultHistoryRetentionSeconds,
			HistorySyncsMax:             defaultHistorySyncsMax,
			StoreNamespacesMax:          defaultStoreNamespacesMax,
			MinVoters:                   defaultMinVoters,
		},
	}
	_, _ = rand.Read(command.RequestID[:]) // never fails: see crypto/rand
	_, _ = rand.Read(command.Epoch[:])
	return fsm.Encode(command)
}

func (n *node) founded() (bool, error) {
	view, err := n.state.View()
	if err != nil {
		return false, err
	}
	defer view.Close()
	return view.System().ClusterID != "", nil
}

func (n *node) propose(ctx context.Context, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, proposeAttempt)
	defer cancel()
	reply, err := n.cluster.Propose(ctx, body)
	if err != nil {
		return err
	}
	result, err := fsm.DecodeResult(reply)
	if err != nil {
		return err
	}
	if result.Outcome != fsm.OK {
		return fmt.Errorf("the command was refused with outcome %d", result.Outcome)
	}
	return nil
}
