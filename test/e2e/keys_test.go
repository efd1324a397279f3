package e2e

import (
	"net/http"
	"testing"

	"pipesync/client"
)

// keyRounds is how often a fresh key is used at once elsewhere: often enough
// to meet a node that has not applied its entry yet.
const keyRounds = 20

func TestKeyWorksAtOnceOnOtherNodes(t *testing.T) {
	s := shared(t)
	for i := range keyRounds {
		made, used := s.Nodes[i%3], s.Nodes[(i+1)%3]
		tn := s.tenant(made)
		s.ok(s.sync(used, tn, tn.batch(client.Incremental, upsert("ns", "a", `{}`))))
		if found := s.all(s.Nodes[(i+2)%3], tn, "ns"); len(found) != 1 {
			t.Fatalf("round %d: %d records", i, len(found))
		}
	}
}

func TestStoreWorksAtOnceOnOtherNodes(t *testing.T) {
	s := shared(t)
	tn := s.tenant(s.Nodes[0])
	for i := range keyRounds {
		made, used := s.Nodes[i%3], s.Nodes[(i+1)%3]
		tn.store = "vs_late" + string(rune('a'+i))
		stored, err := s.admin(made).CreateStore(s.ctx, client.StoreRequest{OrganizationID: tn.org, VectorStoreID: tn.store})
		s.must(err)
		if !stored.Created {
			t.Fatalf("%s existed", tn.store)
		}
		s.ok(s.sync(used, tn, tn.batch(client.Incremental, upsert("ns", "a", `{}`))))
	}
	again, err := s.admin(s.Nodes[0]).CreateStore(s.ctx, client.StoreRequest{OrganizationID: tn.org, VectorStoreID: tn.store})
	s.must(err)
	if again.Created {
		t.Error("creating a store twice made it twice")
	}
}

func TestRevokedKeyIsRefusedAtOnceEverywhere(t *testing.T) {
	s := shared(t)
	for i := range 6 {
		tn := s.tenant(s.Nodes[i%3])
		s.ok(s.sync(s.Nodes[i%3], tn, tn.batch(client.Incremental, upsert("ns", "a", `{}`))))
		_, err := s.admin(s.Nodes[(i+1)%3]).RevokeKey(s.ctx, tn.keyID)
		s.must(err)
		for _, n := range s.Nodes {
			s.refused(s.sync(n, tn, tn.batch(client.Incremental, upsert("ns", "b", `{}`))), http.StatusUnauthorized, "INVALID_API_KEY")
		}
	}
}

func TestKeysAreListedWithoutSecrets(t *testing.T) {
	s := shared(t)
	tn := s.tenant(s.Nodes[0])
	for _, n := range s.Nodes {
		page, err := s.admin(n).Keys(s.ctx, client.ListOptions{OrganizationID: tn.org})
		s.must(err)
		if len(page.Keys) != 1 || page.Keys[0].KeyID != tn.keyID || page.Keys[0].RevokedAt != nil {
			t.Errorf("%s lists %+v", n.ID, page.Keys)
		}
	}
}

func TestAdminRoutesNeedTheToken(t *testing.T) {
	s := shared(t)
	for _, path := range []string{"/v1/admin/status", "/v1/admin/members", "/v1/admin/keys", "/v1/admin/stores"} {
		s.refused(s.answer(s.Nodes[0], request{path: path}), http.StatusUnauthorized, "MISSING_ADMIN_TOKEN")
		s.refused(s.answer(s.Nodes[1], request{path: path, bearer: "wrong"}), http.StatusUnauthorized, "INVALID_ADMIN_TOKEN")
	}
}
