package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// readyPoll is how often a node that starts looks whether it is ready.
const readyPoll = 100 * time.Millisecond

// whenReady tells the service manager, if there is one that listens (sd_notify), that this
// node has started: it serves, or waits to be told to join a cluster. What need not be there
// before is left until then.
func (n *node) whenReady(ctx context.Context) {
	for !n.cluster.Status().Ready {
		if !n.isToldToForm() {
			notify(n.log, "READY=1\nSTATUS=waits to be told to join: pipesync join PEER_ADDR")
			break
		}
		if pause(ctx, readyPoll) != nil {
			return
		}
	}
	for !n.cluster.Status().Ready {
		if pause(ctx, readyPoll) != nil {
			return
		}
	}
	notify(n.log, "READY=1\nSTATUS=serves")
	if err := n.state.PrepareLookups(); err != nil {
		n.log.Warn("preparing for syncs", "error", err)
	}
}

// isToldToForm says whether this node belongs to a cluster, or will by itself.
func (n *node) isToldToForm() bool {
	return n.Bootstrap || n.Join != "" || n.cluster.Status().ClusterID != ""
}

// notify tells the service manager of a change. Where none listens nothing happens.
func notify(log *slog.Logger, state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		log.Warn("telling the service manager", "state", state, "error", err)
	}
}
