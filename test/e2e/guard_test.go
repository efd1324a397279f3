package e2e

import (
	"net/http"
	"testing"

	"pipesync/client"
)

// A refresh from a source that was read by half is refused on every node, and
// leaves what is there.
func TestDeleteGuard(t *testing.T) {
	s := shared(t)
	tn := s.tenant(s.Nodes[0])
	s.ok(s.sync(s.leader(), tn, tn.batch(client.Incremental, manyUpserts(300, "ns")...)))
	before := s.sameDigest(tn, "ns")
	half := tn.batch(client.FullRefresh, manyUpserts(150, "ns")...)
	half.MaxDeletePercent = "49.999"
	for _, n := range s.Nodes {
		e := s.refused(s.sync(n, tn, half), http.StatusConflict, "DELETE_GUARD")
		if e.Error.DetailsTotal != 1 || e.Error.Details[0].Field != "max_delete_percent" {
			t.Errorf("%s: details %+v", n.ID, e.Error.Details)
		}
	}
	if after := s.sameDigest(tn, "ns"); after != before {
		t.Errorf("the namespace is %+v, was %+v", after, before)
	}
	half.MaxDeletePercent = "50"
	if got := s.ok(s.sync(s.follower(), tn, half)); got.Details.Removed != 150 {
		t.Errorf("%+v", got)
	}
}
