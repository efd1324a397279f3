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
