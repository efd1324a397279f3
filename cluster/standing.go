package cluster

import "github.com/prometheus/client_golang/prometheus"

func gaugeDesc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("pipesync_"+name, help, labels, nil)
}

var (
	roleDesc    = gaugeDesc("raft_role", "1 for the part that this node has in its cluster, 0 for the others.", "role")
	membersDesc = gaugeDesc("members", "Members of the cluster, this node among them, by whether gossip finds them.", "state")
	appliedDesc = gaugeDesc("raft_applied_index", "Last entry that this node has applied; those of Raft itself count.")

	roles = []Role{RoleLeader, RoleFollower, RoleCandidate, RoleNonvoter, RoleUnjoined}
)

// standingMetrics are gauges of what Status says.
var standingMetrics = []struct {
	desc  *prometheus.Desc
	value func(Status) float64
}{
	{gaugeDesc("raft_leader_known", "1 while this node knows a leader."),
		func(s Status) float64 { return oneIf(s.LeaderID != "") }},
	{gaugeDesc("raft_term", "Raft's term, one more with each election."),
		func(s Status) float64 { return float64(s.Term) }},
	{gaugeDesc("raft_commit_index", "Last entry that this node knows to be committed."),
		func(s Status) float64 { return float64(s.CommitIndex) }},
	{gaugeDesc("raft_last_log_index", "Last entry in this node's log."),
		func(s Status) float64 { return float64(s.LastLogIndex) }},
	{gaugeDesc("raft_voters", "Voters of the configuration that this node knows."),
		func(s Status) float64 { return float64(s.Voters) }},
	{gaugeDesc("raft_failures_tolerated", "How many voters may be lost before writes stop."),
		func(s Status) float64 { return float64(s.FailuresTolerated) }},
	{gaugeDesc("raft_last_contact_seconds", "How long ago this node heard from the leader; 0 on the leader."),
		func(s Status) float64 { return s.LastContact.Seconds() }},
}

// sizeMetrics are gauges of what Sizes says.
var sizeMetrics = []struct {
	desc  *prometheus.Desc
	value func(Sizes) float64
}{
	{gaugeDesc("raft_log_file_bytes", "Size of raft.db, which never shrinks while the node runs."),
		func(s Sizes) float64 { return float64(s.LogFile) }},
	{gaugeDesc("snapshot_due_bytes", "Log written since the last snapshot; at raft.snapshot_bytes the next is taken."),
		func(s Sizes) float64 { return float64(s.LogSinceSnapshot) }},
	{gaugeDesc("snapshot_index", "Last entry in this node's newest snapshot; 0 where there is none."),
		func(s Sizes) float64 { return float64(s.SnapshotIndex) }},
	{gaugeDesc("snapshot_bytes", "Size of this node's newest snapshot; 0 where there is none."),
		func(s Sizes) float64 { return float64(s.Snapshot) }},
}

// standing tells, when it is scraped, how the node stands in its cluster.
type standing struct{ node *Node }

// Describe implements prometheus.Collector.
func (standing) Describe(out chan<- *prometheus.Desc) {
	for _, m := range standingMetrics {
		out <- m.desc
	}
	for _, m := range sizeMetrics {
		out <- m.desc
	}
	for _, d := range []*prometheus.Desc{waitingDesc, waitingBytesDesc, usedDesc} {
		out <- d
	}
	out <- roleDesc
	out <- membersDesc
	out <- appliedDesc
}

// Collect implements prometheus.Collector.
func (s standing) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	status := s.node.Status()
	for _, m := range standingMetrics {
		gauge(m.desc, m.value(status))
	}
	for _, r := range roles {
		gauge(roleDesc, oneIf(r == status.Role), string(r))
	}
	sizes := s.node.Sizes()
	for _, m := range sizeMetrics {
		gauge(m.desc, m.value(sizes))
	}
	applied := uint64(0) // in no cluster
	if c, err := s.node.running(); err == nil {
		applied = c.raft.AppliedIndex()
	}
	gauge(appliedDesc, float64(applied))
	for name, q := range map[queueName]*turns{queueMemory: &s.node.budget.turns, queueForwards: s.node.forwards} {
		waiting, bytes, used := q.length()
		gauge(waitingDesc, float64(waiting), string(name))
		gauge(waitingBytesDesc, float64(bytes), string(name))
		gauge(usedDesc, used, string(name))
	}
	alive, silent := 0, 0
	members, _ := s.node.Members() // in no cluster: none
	for _, m := range members {
		if m.Alive {
			alive++
		} else {
			silent++
		}
	}
	gauge(membersDesc, float64(alive), "alive")
	gauge(membersDesc, float64(silent), "silent")
}

func oneIf(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
