package api

import (
	"net/http"

	"pipesync/cluster"
)

// rotation is the last rotation of the cluster's CA, as the node sees it.
type rotation struct {
	Phase      cluster.RotationPhase `json:"phase"`
	CA         string                `json:"ca_sha256"` // of the new CA
	BegunAt    string                `json:"begun_at"`
	PhaseAt    string                `json:"phase_at"`
	WaitingFor []waitingReply        `json:"waiting_for"`
}

// waitingReply is a member that isn't done with the phase.
type waitingReply struct {
	NodeID string `json:"node_id"`
	Reason string `json:"reason"`
}

// newRotation is nil before the first rotation.
func newRotation(r *cluster.RotationStatus) *rotation {
	if r == nil {
		return nil
	}
	reply := &rotation{
		Phase: r.Phase, CA: r.CA, BegunAt: timestamp(r.BegunAt.UnixNano()), PhaseAt: timestamp(r.PhaseAt.UnixNano()),
		WaitingFor: make([]waitingReply, len(r.Awaiting)),
	}
	for i, m := range r.Awaiting {
		reply.WaitingFor[i] = waitingReply{m.ID, m.Why}
	}
	return reply
}

// handleRotateCA begins a rotation, or does nothing where one is under way: whoever asks
// again is told of the same.
func (s *server) handleRotateCA(c *call) error {
	ctx, cancel := c.within(s.Limits.ChangeTimeout)
	defer cancel()
	ca, err := s.Cluster.RotateCA(ctx)
	if err != nil {
		return membershipFailure(err, codeInternal, "the CA is not replaced")
	}
	c.reply(http.StatusAccepted, struct {
		CA string `json:"ca_sha256"`
	}{ca})
	return nil
}
