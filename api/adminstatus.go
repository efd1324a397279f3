package api

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"pipesync/cluster"
	"pipesync/cluster/certs"
	"pipesync/fsm"
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
	HTTPCertificate   *certReply    `json:"http_certificate"`
	CARotation        *rotation     `json:"ca_rotation"`
	Ready             bool          `json:"ready"`
	LastContactMS     int64         `json:"last_contact_ms"`
	Disk              diskReply     `json:"disk"`
	Sizes             sizesReply    `json:"sizes"`
	Usage             *usageReply   `json:"usage"`
	Alarms            []alarm       `json:"alarms"`
	State             stateReply    `json:"state"`
	Members           []memberReply `json:"members"`
}

// diskReply is of the disk that has least room.
type diskReply struct {
	Directory    string `json:"directory"`
	FreeBytes    int64  `json:"free_bytes"`
	TotalBytes   int64  `json:"total_bytes"`
	MinFreeBytes int64  `json:"min_free_bytes"`
}

// sizesReply is what the node keeps.
type sizesReply struct {
	LogFile          int64   `json:"log_file_bytes"`
	LogSinceSnapshot int64   `json:"log_since_snapshot_bytes"`
	Snapshot         int64   `json:"snapshot_bytes"`
	State            *uint64 `json:"state_bytes"` // null while it is being replaced
}

func (s *server) sizes() (sizesReply, error) {
	sizes := s.Cluster.Sizes()
	reply := sizesReply{LogFile: sizes.LogFile, LogSinceSnapshot: sizes.LogSinceSnapshot, Snapshot: sizes.Snapshot}
	figures, err := s.State.Metrics()
	if errors.Is(err, fsm.ErrNotReady) || errors.Is(err, fsm.ErrClosed) {
		return reply, nil
	}
	reply.State = &figures.Storage.DiskBytes
	return reply, err
}

type certReply struct {
	NotAfter   *time.Time `json:"not_after"`
	TrustedCAs []string   `json:"trusted_cas"`
}

func newCertReply(st *certs.Status) *certReply {
	if st == nil {
		return nil
	}
	reply := &certReply{TrustedCAs: st.CAs}
	if reply.TrustedCAs == nil {
		reply.TrustedCAs = []string{}
	}
	if at := st.NotAfter; !at.IsZero() {
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
		Voters: st.Voters, FailuresTolerated: st.FailuresTolerated, Insecure: st.Insecure || s.InsecureHTTP, Certificate: newCertReply(st.Certificate),
		CARotation: newRotation(s.Cluster.CARotation()),
		Ready:      s.isReady(st), LastContactMS: st.LastContact.Milliseconds(), Alarms: s.alarms(st),
	}
	if s.Certificates != nil {
		own := s.Certificates.Status()
		reply.HTTPCertificate = newCertReply(&own)
	}
	reply.Disk = diskReply{Directory: st.Disk.Dir, FreeBytes: st.Disk.FreeBytes, TotalBytes: st.Disk.TotalBytes, MinFreeBytes: st.Disk.MinFreeBytes}
	var err error
	if reply.Sizes, err = s.sizes(); err != nil {
		return err
	}
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
