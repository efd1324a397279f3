package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"pipesync/client"
)

// A quiet run has no operations and still commits its checkpoint; a retry of an
// earlier run leaves it. All nodes read the same.
func TestCheckpoint(t *testing.T) {
	s := shared(t)
	tn := s.tenant(s.Nodes[0])
	const pipeline = "crm/contacts 🦀"
	now := time.Now().UTC()
	run := func(number int, ops ...client.Operation) client.SyncRequest {
		b := tn.batch(client.Incremental, ops...)
		b.Timestamp = now.Add(time.Duration(number) * time.Second).Format(time.RFC3339Nano)
		b.Checkpoint = &client.Checkpoint{Pipeline: pipeline, State: json.RawMessage(fmt.Sprintf(`{"run":%d}`, number))}
		return b
	}
	s.ok(s.sync(s.leader(), tn, run(1, upsert("ns", "a", "{}"))))
	quiet := s.ok(s.sync(s.follower(), tn, run(2)))
	late := s.ok(s.sync(s.follower(), tn, run(1, upsert("ns", "a", "{}"))))
	if len(late.Warnings) != 1 || late.Warnings[0].Code != "STALE_CHECKPOINT_SKIPPED" {
		t.Errorf("the late retry has warnings %+v", late.Warnings)
	}
	for _, n := range s.Nodes {
		got, err := s.as(tn, n).Checkpoint(s.ctx, pipeline, client.ReadOptions{})
		s.must(err)
		if string(got.State) != `{"run":2}` || got.SyncID != quiet.SyncID || got.Index != quiet.Index || got.Pipeline != pipeline {
			t.Errorf("%s: %+v", n.ID, got)
		}
	}
	_, err := s.as(tn, s.follower()).DeleteCheckpoint(s.ctx, pipeline)
	s.must(err)
	for _, n := range s.Nodes {
		s.refused(s.answer(n, request{path: "/v1/pipeline/checkpoints/" + url.PathEscape(pipeline), key: tn.key}), http.StatusNotFound, "CHECKPOINT_NOT_FOUND")
	}
	again := s.ok(s.sync(s.follower(), tn, run(1)))
	if len(again.Warnings) != 0 {
		t.Errorf("a pipeline that begins anew has warnings %+v", again.Warnings)
	}
}
