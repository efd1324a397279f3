package main

import (
	"context"

	"pipesync/fsm/admission"
	"pipesync/fsm/audit"
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

// auditState starts the marker, and what scrubs the state when a mark says so.
func (n *node) auditState() error {
	n.inBackground("the scrubber", n.audit.Run)
	m := &marker{state: n.state, clusterTime: n.leadingTime, propose: n.propose, log: n.log}
	n.inBackground("the marker", m.run)
	return nil
}
