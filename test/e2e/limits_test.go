package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"testing"

	"pipesync/client"
)

const maxOperations = 5000

func manyUpserts(n int, namespace string) []client.Operation {
	ops := make([]client.Operation, n)
	for i := range ops {
		ops[i] = upsert(namespace, fmt.Sprintf("r%05d", i), fmt.Sprintf(`{"i":%d}`, i))
	}
	return ops
}

func TestOneBadOperationOf5000(t *testing.T) {
	s := shared(t)
	tn := s.tenant(s.Nodes[0])
	ops := manyUpserts(maxOperations, "ns")
	ops[3712].Action = "upset"
	e := s.refused(s.sync(s.follower(), tn, tn.batch(client.Incremental, ops...)), http.StatusBadRequest, "VALIDATION_FAILED")
	if e.Error.DetailsTotal != 1 || len(e.Error.Details) != 1 {
		t.Fatalf("%d details of %d", len(e.Error.Details), e.Error.DetailsTotal)
	}
	if d := e.Error.Details[0]; d.Index == nil || *d.Index != 3712 || d.Field != "action" || d.ID != "r03712" || d.Namespace != "ns" {
		t.Errorf("the bad operation is named %+v", d)
	}
	for _, n := range s.Nodes {
		_, err := s.as(tn, n).Namespace(s.ctx, tn.store, "ns", client.ReadOptions{})
		var refused *client.Error
		if !errors.As(err, &refused) || refused.Code != "NAMESPACE_NOT_FOUND" {
			t.Errorf("%s: %v, want no such namespace", n.ID, err)
		}
	}
}

func TestEveryBadOperationIsNamed(t *testing.T) {
	s := shared(t)
	tn := s.tenant(s.Nodes[0])
	ops := manyUpserts(1000, "ns")
	for i := range 150 {
		ops[i*3].ID = ""
	}
	e := s.refused(s.sync(s.leader(), tn, tn.batch(client.Incremental, ops...)), http.StatusBadRequest, "VALIDATION_FAILED")
	if e.Error.DetailsTotal != 150 || len(e.Error.Details) != 100 {
		t.Fatalf("%d details of %d, want 100 of 150", len(e.Error.Details), e.Error.DetailsTotal)
	}
	for i, d := range e.Error.Details {
		if d.Index == nil || *d.Index != i*3 || d.Field != "id" {
			t.Fatalf("detail %d is %+v", i, d)
		}
	}
}

func TestBatchSize(t *testing.T) {
	s := shared(t)
	tn := s.tenant(s.Nodes[0])
	s.refused(s.sync(s.follower(), tn, tn.batch(client.Incremental, manyUpserts(maxOperations+1, "ns")...)),
		http.StatusBadRequest, "BATCH_SIZE_EXCEEDED")
	got := s.ok(s.sync(s.follower(), tn, tn.batch(client.Incremental, manyUpserts(maxOperations, "ns")...)))
	if got.Processed != maxOperations || got.Details.Created != maxOperations {
		t.Errorf("5000 operations: %+v", got)
	}
	for _, n := range s.Nodes {
		if found := s.all(n, tn, "ns"); len(found) != maxOperations {
			t.Errorf("%s has %d records", n.ID, len(found))
		}
	}
	if ns := s.sameDigest(tn, "ns"); ns.Records != maxOperations {
		t.Errorf("the namespace counts %d records", ns.Records)
	}
}
