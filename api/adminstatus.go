package api

import (
	"fmt"
	"net/http"
	"time"

	"pipesync/cluster"
)

type statusReply struct {
	NodeID            string        `json:"node_id"`
	ClusterID         string        `json:"cluster_id"`
	Version           string        `json:"version"`
	Role              cluster.Role  `json:"role"`
	Term              uint64        `json:"term"`
	Leader            *leaderReply  `json:"leader"`
	AppliedIndex      uint64        `json:"applied_index"`
	CommitIndex       uint64        `json:"commit_index"`
	LastLogIndex      uint64        `json:"last_log_index"`
	Voters            int           `json:"voters"`
	FailuresTolerated int           `json:"failures_tolerated"`
	Insecure          bool          `json:"insecure"`
	Certificate       *certReply    `json:"certificate"`
	Ready             bool          `json:"ready"`
	LastContactMS     int64         `json:"last_contact_ms"`
	Usage             *usageReply   `json:"usage"`
	Alarms            []alarm       `json:"alarms"`
	State             stateReply    `json:"state"`
	Members           []memberReply `json:"members"`
}

type certReply struct {
	NotAfter   *time.Time `json:"not_after"`
	TrustedCAs []string   `json:"trusted_cas"`
}

func certificate(st cluster.Status) *certReply {
	if st.Certificate == nil {
		return nil
	}
	reply := &certReply{TrustedCAs: st.Certificate.CAs}
	if reply.TrustedCAs == nil {
		reply.TrustedCAs = []string{}
	}
	if at := st.Certificate.NotAfter; !at.IsZero() {
		at = at.UTC()
		reply.NotAfter = &at
	}
	return reply
}

type leaderReply struct {
	ID   string `json:"id"`
	Peer string `json:"peer"`
	HTTP string `json:"http"`
}

// handleStatus tells how this node sees itself and its cluster; without the
// members where it has none yet.
func (s *server) handleStatus(c *call) error {
	st := s.Cluster.Status()
	reply := statusReply{
		NodeID: st.NodeID, ClusterID: st.ClusterID, Version: st.Version, Role: st.Role, Term: st.Term,
		AppliedIndex: st.AppliedIndex, CommitIndex: st.CommitIndex, LastLogIndex: st.LastLogIndex,
		Voters: st.Voters, FailuresTolerated: st.FailuresTolerated, Insecure: st.Insecure || s.InsecureHTTP, Certificate: certificate(st),
		Ready: s.isReady(st), LastContactMS: st.LastContact.Milliseconds(), Alarms: s.alarms(st),
	}
	var err error
	if reply.State, reply.Usage, err = s.readState(); err != nil {
		return err
	}
	var members []cluster.Member
	if st.ClusterID != "" {
		if members, err = s.Cluster.Members(); err != nil {
			return fmt.Errorf("listing the members: %w", err)
		}
	}
	reply.Members = newMemberReplies(members)
	if st.LeaderID != "" {
		reply.Leader = &leaderReply{ID: st.LeaderID, Peer: st.LeaderPeer}
		for _, m := range members {
			if m.ID == st.LeaderID {
				reply.Leader.HTTP = m.HTTPAddr
			}
		}
	}
	c.reply(http.StatusOK, reply)
	return nil
}
