package e2e

import (
	"testing"

	"pipesync/client"
)

// Each node foretells a refresh exactly, writes nothing and uses nothing of the
// window.
func TestDryRun(t *testing.T) {
	s := shared(t)
	tn := s.tenant(s.Nodes[0])
	s.ok(s.sync(s.leader(), tn, tn.batch(client.Incremental, manyUpserts(200, "ns")...)))
	before := s.sameDigest(tn, "ns")
	refresh := tn.batch(client.FullRefresh, append(manyUpserts(150, "ns")[:100], upsert("ns", "new", "{}"))...)
	refresh.DryRun = true
	var foretold client.SyncReply
	for _, n := range s.Nodes {
		dry, err := s.as(tn, n).Sync(s.ctx, refresh)
		s.must(err)
		if !dry.DryRun || dry.SyncID != "" || dry.Index == 0 || dry.RateLimit.Remaining != 99 {
			t.Errorf("%s: %+v", n.ID, dry)
		}
		foretold = dry
	}
	if after := s.sameDigest(tn, "ns"); after != before {
		t.Errorf("the namespace is %+v, was %+v", after, before)
	}
	refresh.DryRun = false
	done := s.ok(s.sync(s.follower(), tn, refresh))
	if done.Details != foretold.Details || done.Results != foretold.Results || done.Details.Removed != 100 {
		t.Errorf("foretold %+v, %+v, done %+v, %+v", foretold.Details, foretold.Results, done.Details, done.Results)
	}
}
