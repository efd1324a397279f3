package client

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// Health is what a node says of itself without credentials.
type Health struct {
	Status   string `json:"status"` // "ok" or "degraded"
	NodeID   string `json:"node_id"`
	Role     string `json:"role"`
	LeaderID string `json:"leader_id"`
	Ready    bool   `json:"ready"`
	Version  string `json:"version"`
}

// Status is one node's view of itself and its cluster.
type Status struct {
	NodeID            string       `json:"node_id"`
	ClusterID         string       `json:"cluster_id"` // empty: not joined
	Version           string       `json:"version"`
	Role              string       `json:"role"`
	Term              uint64       `json:"term"`
	Leader            *Leader      `json:"leader"` // nil: none known
	AppliedIndex      uint64       `json:"applied_index"`
	CommitIndex       uint64       `json:"commit_index"`
	LastLogIndex      uint64       `json:"last_log_index"`
	Voters            int          `json:"voters"`
	FailuresTolerated int          `json:"failures_tolerated"`
	Insecure          bool         `json:"insecure"`
	Certificate       *Certificate `json:"certificate"`      // for the peer port; nil: none
	HTTPCertificate   *Certificate `json:"http_certificate"` // nil: none
	CARotation        *CARotation  `json:"ca_rotation"`      // the last; nil: none
	Ready             bool         `json:"ready"`
	LastContactMS     int64        `json:"last_contact_ms"`
	Disk              Disk         `json:"disk"`
	Sizes             Sizes        `json:"sizes"`
	Usage             *Usage       `json:"usage"` // of the whole cluster; nil: the node can't tell just now
	Alarms            []Alarm      `json:"alarms"`
	State             State        `json:"state"`
	Members           []Member     `json:"members"`
}

// Disk is the one of a node's that has least room. With less than MinFreeBytes it takes
// no writes as leader.
type Disk struct {
	Directory    string `json:"directory"` // on it
	FreeBytes    int64  `json:"free_bytes"`
	TotalBytes   int64  `json:"total_bytes"`
	MinFreeBytes int64  `json:"min_free_bytes"`
}

// Sizes are bytes that a node keeps.
type Sizes struct {
	LogFile          int64  `json:"log_file_bytes"`           // raft.db; it doesn't shrink while the node runs
	LogSinceSnapshot int64  `json:"log_since_snapshot_bytes"` // logged since the newest snapshot
	Snapshot         int64  `json:"snapshot_bytes"`           // the newest as it is sent, which shares files with the state; 0: none
	State            *int64 `json:"state_bytes"`              // files of the state; nil: it is being replaced
}

// Certificate is a node's for one of its ports.
type Certificate struct {
	NotAfter   *time.Time `json:"not_after"`   // nil: it can't be read
	TrustedCAs []string   `json:"trusted_cas"` // by the port; SHA-256 of their certificates, in hexadecimal
}

// CARotation is the last rotation of the cluster's CA, as a node sees it.
type CARotation struct {
	Phase      string          `json:"phase"`     // trust, issue, retire or done
	CA         string          `json:"ca_sha256"` // of the new CA's certificate, in hexadecimal
	BegunAt    time.Time       `json:"begun_at"`
	PhaseAt    time.Time       `json:"phase_at"`    // when the phase began
	WaitingFor []WaitingMember `json:"waiting_for"` // who isn't done with it
}

// WaitingMember isn't done with a phase of a rotation.
type WaitingMember struct {
	NodeID string `json:"node_id"`
	Reason string `json:"reason"`
}

// CARotationBegun says which CA is to take the place of the cluster's.
type CARotationBegun struct {
	CA string `json:"ca_sha256"`
}

// State identifies the state of a node: nodes with the same chain at a mark have
// made the same writes, those with the same hash at an index have the same rows.
type State struct {
	ClusterVersion uint32 `json:"cluster_version"`
	Index          uint64 `json:"index"` // of the last entry in it, and in Status.Usage

	Mark  *Mark  `json:"mark"`  // nil: none yet
	Scrub *Scrub `json:"scrub"` // nil: none yet
}

// Mark is the last mark in the log.
type Mark struct {
	Index uint64 `json:"index"`
	Chain string `json:"chain"`
}

// Scrub is the last look at all rows of a node that has ended.
type Scrub struct {
	Index      uint64    `json:"index"`
	Hash       string    `json:"hash"`
	Rows       uint64    `json:"rows"`
	Bytes      uint64    `json:"bytes"`
	FinishedAt time.Time `json:"finished_at"`
	Verdict    string    `json:"verdict"` // unknown, agrees, disputed or diverged
	Problems   []string  `json:"problems"`
}

// ScrubBegun is the entry as of which every node scrubs its state.
type ScrubBegun struct {
	Index uint64 `json:"index"`
}

// Alarm is what is wrong with a node and needs a hand.
type Alarm struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// Leader is where the leader of a cluster is.
type Leader struct {
	ID   string `json:"id"`
	Peer string `json:"peer"`
	HTTP string `json:"http"` // empty: unknown
}

// Member is one server of the cluster's configuration.
type Member struct {
	ID      string `json:"id"`
	Peer    string `json:"peer"`
	HTTP    string `json:"http"` // empty: unknown
	Voter   bool   `json:"voter"`
	Leader  bool   `json:"leader"`
	Alive   bool   `json:"alive"` // by gossip; a hint
	Version string `json:"version"`
	// ClockOffsetMS is how far its clock is ahead of the median of the members';
	// nil: not known.
	ClockOffsetMS *int64 `json:"clock_offset_ms"`
	// Diverged: most voters have another state than this member.
	Diverged bool `json:"diverged"`
	// LagEntries is how many entries of the leader's log it lacks, and LastContactMS
	// how long ago it answered the leader, as the leader sees it; nil: not known.
	LagEntries    *uint64 `json:"lag_entries"`
	LastContactMS *int64  `json:"last_contact_ms"`
}

// Members is the cluster's configuration.
type Members struct {
	Members []Member `json:"members"`
}

// JoinRequest names the cluster that a node shall join.
type JoinRequest struct {
	Peer     string `json:"peer"` // peer address of any member
	Token    string `json:"token"`
	Nonvoter bool   `json:"nonvoter,omitempty"`
}

// Joined says what a node has become.
type Joined struct {
	NodeID    string `json:"node_id"`
	ClusterID string `json:"cluster_id"`
	Voter     bool   `json:"voter"`
}

// Removed says which node has left the configuration.
type Removed struct {
	NodeID  string `json:"node_id"`
	Removed bool   `json:"removed"`
}

// NewLeader says who leads after a transfer.
type NewLeader struct {
	LeaderID string `json:"leader_id"`
}

// Health asks a node how it is. A degraded node's answer is no error.
func (c *Client) Health(ctx context.Context) (Health, error) {
	var out Health
	_, err := c.do(ctx, call{
		method: http.MethodGet, path: "/v1/pipeline/health", out: &out,
		alsoOK: http.StatusServiceUnavailable,
	})
	return out, err
}

// Status asks a node for its view of the cluster.
func (c *Client) Status(ctx context.Context) (Status, error) {
	return admin[Status](ctx, c, http.MethodGet, "/v1/admin/status", nil, nil)
}

// Members lists the cluster's configuration.
func (c *Client) Members(ctx context.Context) (Members, error) {
	return admin[Members](ctx, c, http.MethodGet, "/v1/admin/members", nil, nil)
}

// Join makes the node that is asked, which must belong to no cluster, join one.
// It returns once that node has caught up and is a member for good.
func (c *Client) Join(ctx context.Context, req JoinRequest) (Joined, error) {
	return admin[Joined](ctx, c, http.MethodPost, "/v1/admin/members/join", nil, req)
}

// RemoveMember takes a node out of the configuration. Without force it is
// refused with QUORUM_AT_RISK where the rest could not commit.
func (c *Client) RemoveMember(ctx context.Context, node string, force bool) (Removed, error) {
	var query url.Values
	if force {
		query = url.Values{"force": {"true"}}
	}
	return admin[Removed](ctx, c, http.MethodDelete, "/v1/admin/members/"+segment(node), query, nil)
}

// RotateCA begins to put a new CA in the place of the cluster's own, or does nothing
// where that is under way. It doesn't wait: Status shows how far it is.
func (c *Client) RotateCA(ctx context.Context) (CARotationBegun, error) {
	return admin[CARotationBegun](ctx, c, http.MethodPost, "/v1/admin/ca/rotate", nil, nil)
}

// TransferLeadership hands leadership to a node; empty: to any other voter.
func (c *Client) TransferLeadership(ctx context.Context, node string) (NewLeader, error) {
	body := struct {
		Node string `json:"node,omitempty"`
	}{node}
	return admin[NewLeader](ctx, c, http.MethodPost, "/v1/admin/leader/transfer", nil, body)
}

// Scrub has every node read all its rows and compare them.
func (c *Client) Scrub(ctx context.Context) (ScrubBegun, error) {
	return admin[ScrubBegun](ctx, c, http.MethodPost, "/v1/admin/scrub", nil, nil)
}

func admin[T any](ctx context.Context, c *Client, method, path string, query url.Values, body any) (T, error) {
	var out T
	_, err := c.do(ctx, call{
		method: method, path: path, query: query, credential: withAdminToken, body: body, out: &out,
	})
	return out, err
}
