package e2e

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"pipesync/client"
	"pipesync/internal/testcluster"
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
	bytesOfTheWindow(s)
}

// bytesOfTheWindow uses them up through one node: the others refuse, after a change of
// leader too, what they would take beside it, and take it once that has left the window.
func bytesOfTheWindow(s *suite) {
	s.Helper()
	tn := s.tenant(s.Nodes[0])
	_, err := s.admin(s.follower()).SetLimits(s.ctx, tn.org, client.Figures{"bytes_per_window": 3000})
	s.must(err)
	sync := func(n *testcluster.Node, id string, bytes int) reply {
		return s.sync(n, tn, tn.batch(client.Incremental, upsert("ns", id, `{"x":"`+strings.Repeat("x", bytes)+`"}`)))
	}
	s.ok(sync(s.Nodes[0], "a", 2000))
	e := s.refused(sync(s.Nodes[1], "b", 3000), http.StatusForbidden, "QUOTA_EXCEEDED")
	if e.Error.Retryable || len(e.Error.Details) != 1 || e.Error.Details[0].Field != "bytes_per_window" {
		s.Errorf("%+v", e.Error)
	}
	s.must(s.TransferLeadership(s.ctx, s.follower()))
	for _, n := range s.Nodes {
		got := sync(n, "b", 1500)
		if e := s.refused(got, http.StatusTooManyRequests, "RATE_LIMIT_EXCEEDED"); !e.Error.Retryable || !strings.Contains(e.Error.Message, "bytes") {
			s.Errorf("%s: %+v", n.ID, e.Error)
		}
		if after, err := strconv.Atoi(got.header.Get("Retry-After")); err != nil || after < 1 || after > 61 {
			s.Errorf("%s: Retry-After %q", n.ID, got.header.Get("Retry-After"))
		}
	}
	_, err = s.admin(s.Nodes[0]).SetSettings(s.ctx, client.Figures{"window_ms": 1000})
	s.must(err)
	s.await("room for the bytes", func(context.Context) error {
		if got := sync(s.Nodes[2], "b", 1500); got.status != http.StatusOK {
			return fmt.Errorf("status %d: %s", got.status, got.body)
		}
		return nil
	})
	if n := len(s.all(s.Nodes[1], tn, "ns")); n != 2 {
		s.Errorf("%d records, want 2", n)
	}
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
