package e2e

import (
	"net/http"
	"testing"

	"pipesync/client"
)

// TestSettingsHoldEverywhere changes them through one node and meets them at the
// others, at once and after a change of leader.
func TestSettingsHoldEverywhere(t *testing.T) {
	s := own(t, 3, testDeadline)
	tn := s.tenant(s.Nodes[0])
	got, err := s.admin(s.follower()).SetSettings(s.ctx, client.Figures{"requests_per_window": 3})
	s.must(err)
	if got["requests_per_window"] != 3 || got["window_ms"] != 60_060 {
		t.Errorf("the settings are %v", got)
	}
	for i := range 3 {
		s.ok(s.sync(s.Nodes[i], tn, tn.batch(client.Incremental, upsert("ns", "a", `{}`))))
	}
	s.must(s.TransferLeadership(s.ctx, s.follower()))
	s.refused(s.sync(s.Nodes[1], tn, tn.batch(client.Incremental, upsert("ns", "b", `{}`))), http.StatusTooManyRequests, "RATE_LIMIT_EXCEEDED")
	for _, n := range s.Nodes {
		got, err := s.admin(n).Settings(s.ctx)
		s.must(err)
		if got["requests_per_window"] != 3 {
			t.Errorf("%s has the settings %v", n.ID, got)
		}
	}
	_, err = s.admin(s.Nodes[0]).SetLimits(s.ctx, tn.org, client.Figures{"requests_per_window": 4})
	s.must(err)
	for _, n := range s.Nodes {
		limits, err := s.admin(n).Limits(s.ctx, tn.org)
		s.must(err)
		if limits.Limits["requests_per_window"] != 4 || limits.Effective["requests_per_window"] != 4 {
			t.Errorf("%s has the limits %v", n.ID, limits)
		}
	}
	s.ok(s.sync(s.Nodes[2], tn, tn.batch(client.Incremental, upsert("ns", "b", `{}`))))
}

// TestQuota fills an organization up to a quota, through all nodes, and empties it
// again.
func TestQuota(t *testing.T) {
	s := shared(t)
	tn := s.tenant(s.Nodes[0])
	_, err := s.admin(s.follower()).SetLimits(s.ctx, tn.org, client.Figures{"records_max": 2})
	s.must(err)
	s.ok(s.sync(s.Nodes[1], tn, tn.batch(client.Incremental, upsert("ns", "a", `{}`), upsert("ns", "b", `{}`))))
	for _, n := range s.Nodes {
		e := s.refused(s.sync(n, tn, tn.batch(client.Incremental, upsert("ns", "c", `{}`))), http.StatusForbidden, "QUOTA_EXCEEDED")
		if e.Error.Retryable || len(e.Error.Details) != 1 || e.Error.Details[0].Field != "records_max" {
			t.Errorf("%s: %+v", n.ID, e.Error)
		}
	}
	_, err = s.admin(s.follower()).SetLimits(s.ctx, tn.org, client.Figures{"records_max": 1})
	s.must(err)
	s.ok(s.sync(s.Nodes[2], tn, tn.batch(client.Incremental, remove("ns", "a"), upsert("ns", "b", `{"now":"longer"}`))))
	limits, err := s.admin(s.Nodes[1]).Limits(s.ctx, tn.org)
	s.must(err)
	want := client.Usage{Records: 1, Bytes: 17, Tombstones: 1, Namespaces: 1, Digest: limits.Usage.Digest}
	if limits.Usage != want || len(want.Digest) != 32 {
		t.Errorf("the organization has %+v, want %+v", limits.Usage, want)
	}
}
