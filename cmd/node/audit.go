package main

import (
	"context"

	"pipesync/fsm/admission"
	"pipesync/fsm/audit"
	"pipesync/fsm/upkeep"
)

// auditedGate admits nothing while this node's state can't be trusted: what it
// would answer for an entry may be wrong.
type auditedGate struct {
	*admission.Gate
	audit *audit.Auditor
}

// Admit implements cluster.Gate.
func (g auditedGate) Admit(ctx context.Context, term uint64, body []byte) ([]byte, func([]byte), error) {
	if err := g.audit.Alarm(); err != nil {
		return nil, nil, err
	}
	return g.Gate.Admit(ctx, term, body)
}

// leadingTime is cluster time while this node leads, else 0.
func (n *node) leadingTime() int64 { return n.gate.ClusterTime(n.cluster.Status().Term) }

// auditState starts what scrubs the state when a mark says so.
func (n *node) auditState() error {
	n.inBackground("the scrubber", n.audit.Run)
	return nil
}

// startUpkeep starts what a leader does from time to time.
func (n *node) startUpkeep() error {
	leader := upkeep.Leader{State: n.state, ClusterTime: n.leadingTime, Propose: n.propose, Pace: upkeep.DefaultPace, Log: n.log}
	for _, job := range leader.Jobs() {
		n.inBackground(job.Name, job.Run)
	}
	return nil
}
