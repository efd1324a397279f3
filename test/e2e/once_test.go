package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pipesync/client"
	"pipesync/internal/testcluster"
)

const idempotencyHeader = "Idempotency-Key"

// once sends a keyed body to one node until it is answered with a 200. Only what
// names itself retryable, or no answer at all, may come before that.
func (s *suite) once(n *testcluster.Node, tn tenant, key string, body []byte) (out reply) {
	s.Helper()
	s.await(n.ID+" to answer "+key, func(context.Context) error {
		got, err := s.send(n, request{path: syncPath, key: tn.key, body: body, header: map[string]string{idempotencyHeader: key}})
		if err != nil {
			return err
		}
		out = got
		var e envelope
		switch {
		case got.status == http.StatusOK:
			return nil
		case json.Unmarshal(got.body, &e) != nil || !e.Error.Retryable:
			s.Fatalf("%s answered %s with %d %s", n.ID, key, got.status, got.body)
		}
		return errors.New(e.Error.Code)
	})
	return out
}

// decided is what is the same in every reply to one key.
func (s *suite) decided(r reply) client.SyncReply {
	s.Helper()
	out := s.ok(r)
	out.ProcessingTimeMS = 0
	return out
}

// A batch that creates, a rival that deletes, and the batch again: what is applied
// twice is seen, though every operation by itself is idempotent.
func TestKeyedRetriesAcrossKill9(t *testing.T) {
	const batches = 12
	s := own(t, 3, 2*time.Minute)
	tn := s.tenant(s.Nodes[0])
	body := func(i int) []byte {
		b := tn.batch(client.Incremental, upsert("ns", fmt.Sprint("id", i), fmt.Sprintf(`{"batch":%d}`, i)))
		b.Timestamp = "" // log order: applied a second time it would win
		text, err := json.Marshal(b)
		s.must(err)
		return text
	}
	leader := s.leader()
	followers, err := s.Followers(s.ctx)
	s.must(err)
	bodies := make([][]byte, batches)
	for i := range bodies {
		bodies[i] = body(i)
	}
	// All are on their way when the leader dies, half of them through itself.
	answered := make(chan struct{}, batches)
	for i := range batches {
		via := followers[0]
		if i%2 == 0 {
			via = leader
		}
		go func() {
			_, _ = s.send(via, request{path: syncPath, key: tn.key, body: bodies[i], header: map[string]string{idempotencyHeader: fmt.Sprint("batch-", i)}})
			answered <- struct{}{}
		}()
	}
	<-answered
	s.must(leader.Kill9())
	for range batches - 1 {
		<-answered
	}
	first := make([]client.SyncReply, batches)
	for i := range batches {
		first[i] = s.decided(s.once(followers[i%2], tn, fmt.Sprint("batch-", i), bodies[i]))
	}
	rival := tn.batch(client.FullRefresh, remove("ns", "none"))
	rival.Timestamp = "" // behind the batches, by whichever clock the leader has stamped them
	gone := s.ok(s.sync(followers[0], tn, rival))
	if gone.Details.Removed != batches {
		t.Errorf("%d records were there, want %d", gone.Details.Removed, batches)
	}
	s.must(leader.Restart(s.ctx))
	s.caughtUp(leader)
	for i := range batches {
		for _, n := range s.Nodes {
			again := s.once(n, tn, fmt.Sprint("batch-", i), bodies[i])
			if again.header.Get("Idempotent-Replayed") != "true" {
				t.Errorf("%s didn't call the retry of batch %d a replay", n.ID, i)
			}
			if diff := cmp.Diff(first[i], s.decided(again)); diff != "" {
				t.Errorf("%s answered batch %d with another reply: %s", n.ID, i, diff)
			}
		}
		if first[i].Details != (client.Details{Created: 1}) {
			t.Errorf("batch %d: %+v", i, first[i].Details)
		}
	}
	for _, n := range s.Nodes {
		if found := s.all(n, tn, "ns"); len(found) != 0 {
			t.Errorf("%s has %d records that were applied again", n.ID, len(found))
		}
		s.inHistory(n, tn, first)
		got := s.answer(n, request{path: syncPath, key: tn.key, body: bodies[0], header: map[string]string{idempotencyHeader: "batch-1"}})
		s.refused(got, http.StatusUnprocessableEntity, "IDEMPOTENCY_KEY_REUSED")
		// Of all that was sent, the batches and the refresh were counted, each once.
		if left := got.header.Get("X-RateLimit-Remaining"); left != fmt.Sprint(100-batches-1) {
			t.Errorf("%s says that %s syncs are left", n.ID, left)
		}
	}
}
