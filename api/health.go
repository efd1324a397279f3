package api

import (
	"fmt"
	"net/http"
	"strings"

	"pipesync/cluster"
	"pipesync/fsm"
)

// handleLive says that the process serves requests, and nothing else.
func (s *server) handleLive(c *call) error {
	c.replyBytes(http.StatusOK, contentTypeText, []byte("ok\n"))
	return nil
}

const contentTypeText = "text/plain; charset=utf-8"

// readyCheck is one line of /readyz?verbose.
type readyCheck struct {
	name string
	ok   bool
	why  string // where it isn't
	// warns: the node is ready all the same.
	warns bool
}

func (s *server) readyChecks(st cluster.Status) []readyCheck {
	trusted, why := true, ""
	if err := s.Audit.Refusal(); err != nil {
		trusted, why = false, err.Error()
	}
	return []readyCheck{
		{name: "joined", ok: st.ClusterID != "", why: "this node belongs to no cluster yet"},
		{name: "leader", ok: st.LeaderID != "", why: "no leader is known"},
		{name: "caught-up", ok: st.CaughtUp, why: "not every entry acknowledged before the start has been applied"},
		{name: "formed", ok: s.isFormed(), why: "the cluster's first command is not in this node's state"},
		{name: "disk", ok: !st.Disk.Full, why: diskFull(st), warns: true},
		{name: "members", ok: len(st.Dead) == 0, why: deadMembers(st), warns: true},
		{name: "state", ok: trusted, why: why},
	}
}

// isReady says whether reads and syncs will work on this node.
func (s *server) isReady(st cluster.Status) bool {
	return st.Ready && s.isFormed() && s.Audit.Refusal() == nil
}

// isFormed says whether the state has the cluster's first command, which a
// founder applies a moment after it leads: until then no key can be made.
func (s *server) isFormed() bool {
	formed, err := s.inView(func(v *fsm.View) (bool, error) { return v.System().ClusterID != "", nil })
	return err == nil && formed
}

// handleReady is for load balancers: 200 where reads and syncs will work.
func (s *server) handleReady(c *call) error {
	st := s.Cluster.Status()
	status, text := http.StatusOK, "ok\n"
	if !s.isReady(st) {
		status, text = http.StatusServiceUnavailable, "not ready\n"
		c.code = codeNotReady
	}
	if c.r.URL.Query().Has("verbose") {
		var lines strings.Builder
		for _, check := range s.readyChecks(st) {
			switch {
			case check.ok:
				fmt.Fprintf(&lines, "[+] %s\n", check.name)
			case check.warns:
				fmt.Fprintf(&lines, "[!] %s: %s\n", check.name, check.why)
			default:
				fmt.Fprintf(&lines, "[-] %s: %s\n", check.name, check.why)
			}
		}
		text = lines.String() + text
	}
	c.replyBytes(status, contentTypeText, []byte(text))
	return nil
}

func (s *server) handleHealth(c *call) error {
	st := s.Cluster.Status()
	status, word := http.StatusOK, "ok"
	ready := s.isReady(st)
	if !ready {
		status, word = http.StatusServiceUnavailable, "degraded"
	}
	c.reply(status, struct {
		Status   string       `json:"status"`
		NodeID   string       `json:"node_id"`
		Role     cluster.Role `json:"role"`
		LeaderID string       `json:"leader_id"`
		Ready    bool         `json:"ready"`
		Version  string       `json:"version"`
	}{word, s.NodeID, st.Role, st.LeaderID, ready, s.Version})
	return nil
}
