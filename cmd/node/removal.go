package main

import (
	"time"

	"pipesync/cluster"
)

// removalPolicy is what the replicated settings say of dead members. A state that is
// being replaced has none for the moment.
func (n *node) removalPolicy() cluster.RemovalPolicy {
	view, err := n.state.View()
	if err != nil {
		return cluster.RemovalPolicy{}
	}
	defer view.Close()
	settings, _, err := view.Settings()
	if err != nil {
		return cluster.RemovalPolicy{}
	}
	return cluster.RemovalPolicy{
		After:     time.Duration(settings.DeadMemberRemovalSeconds) * time.Second,
		MinVoters: int(settings.MinVoters),
	}
}
