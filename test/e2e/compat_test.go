package e2e

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"pipesync/client"
)

// The tests of this file each hold one statement of docs/compatibility.md.

// fields decodes a JSON object one level deep.
func (s *suite) fields(text []byte) map[string]json.RawMessage {
	s.Helper()
	var out map[string]json.RawMessage
	s.must(json.Unmarshal(text, &out))
	return out
}

func (s *suite) wantFields(text []byte, names ...string) {
	s.Helper()
	have := s.fields(text)
	for _, name := range names {
		if _, ok := have[name]; !ok {
			s.Errorf("no field %q in %s", name, text)
		}
	}
}

func TestCompat_ReplyFields(t *testing.T) {
	s := shared(t)
	tn := s.tenant(s.Nodes[0])
	got := s.sync(s.Nodes[1], tn, tn.batch(client.Incremental,
		upsert("a", "1", `{}`), upsert("b", "1", `{}`), remove("a", "2")))
	out := s.ok(got)
	s.wantFields(got.body, "status", "sync_id", "processed", "results", "by_namespace", "processing_time_ms", "index", "details")
	s.wantFields(s.fields(got.body)["results"], "upserted", "deleted", "failed", "skipped")
	if out.Status != "success" || !strings.HasPrefix(out.SyncID, "sync_") || out.Processed != 3 {
		t.Errorf("%s", got.body)
	}
	if want := (client.Counts{Upserted: 2, Deleted: 1}); out.Results != want {
		t.Errorf("results %+v, want %+v", out.Results, want)
	}
	if a, b := out.ByNamespace["a"], out.ByNamespace["b"]; len(out.ByNamespace) != 2 || a != (client.Counts{Upserted: 1, Deleted: 1}) || b != (client.Counts{Upserted: 1}) {
		t.Errorf("by_namespace %+v", out.ByNamespace)
	}
}

func TestCompat_Alias(t *testing.T) {
	s := shared(t)
	tn := s.tenant(s.Nodes[0])
	got := s.answer(s.follower(), request{path: "/v1/connectors/pipeline/sync", key: tn.key,
		body: tn.batch(client.Incremental, upsert("ns", "a", `{}`))})
	if out := s.ok(got); out.Processed != 1 {
		t.Errorf("%s", got.body)
	}
}

func TestCompat_ErrorEnvelope(t *testing.T) {
	s := shared(t)
	got := s.answer(s.Nodes[0], request{path: syncPath, body: `{}`, header: map[string]string{"X-Request-ID": "mine-1"}})
	e := s.refused(got, http.StatusUnauthorized, "MISSING_API_KEY")
	if e.Error.RequestID == "" || e.Error.RequestID != got.header.Get("X-Request-ID") {
		t.Errorf("request_id %q, header %q", e.Error.RequestID, got.header.Get("X-Request-ID"))
	}
	if e.Error.Retryable || e.Error.Message == "" {
		t.Errorf("%+v", e.Error)
	}
	s.wantFields(s.fields(got.body)["error"], "code", "message", "status", "retryable", "request_id")
}

func TestCompat_MissingAPIKey(t *testing.T) {
	s := shared(t)
	tn := s.tenant(s.Nodes[0])
	tn.key = ""
	s.refused(s.sync(s.Nodes[0], tn, tn.batch(client.Incremental)), http.StatusUnauthorized, "MISSING_API_KEY")
}

func TestCompat_InvalidAPIKey(t *testing.T) {
	s := shared(t)
	tn := s.tenant(s.Nodes[0])
	good := tn.key
	for _, bad := range []string{"nonsense", "psk_", good + "x", good[:len(good)-1], strings.ToUpper(good), good[:len(good)-4] + "aaaa"} {
		tn.key = bad
		got := s.sync(s.follower(), tn, tn.batch(client.Incremental))
		s.refused(got, http.StatusUnauthorized, "INVALID_API_KEY")
		if strings.Contains(string(got.body), bad) && len(bad) > 10 {
			t.Errorf("the answer echoes the key: %s", got.body)
		}
	}
}

func TestCompat_OrganizationMismatch(t *testing.T) {
	s := shared(t)
	tn, other := s.tenant(s.Nodes[0]), s.tenant(s.Nodes[0])
	tn.key = other.key
	s.refused(s.sync(s.Nodes[2], tn, tn.batch(client.Incremental, upsert("ns", "a", `{}`))), http.StatusForbidden, "ORGANIZATION_MISMATCH")
}

func TestCompat_VectorStoreNotFound(t *testing.T) {
	s := shared(t)
	tn, other := s.tenant(s.Nodes[0]), s.tenant(s.Nodes[0])
	for _, store := range []string{"vs_nobody_made_this", other.store} {
		tn.store = store
		for _, n := range s.Nodes {
			s.refused(s.sync(n, tn, tn.batch(client.Incremental, upsert("ns", "a", `{}`))), http.StatusNotFound, "VECTOR_STORE_NOT_FOUND")
			s.refused(s.answer(n, request{path: "/v1/vector-stores/" + store + "/namespaces", key: tn.key}), http.StatusNotFound, "VECTOR_STORE_NOT_FOUND")
		}
	}
}

func TestCompat_DefaultVectorStore(t *testing.T) {
	s := shared(t)
	tn := s.tenant(s.Nodes[0])
	batch := tn.batch(client.Incremental, upsert("ns", "a", `{}`))
	batch.VectorStoreID, batch.Timestamp = "", ""
	s.ok(s.sync(s.Nodes[1], tn, batch))
	if len(s.all(s.Nodes[2], tn, "ns")) != 1 {
		t.Error("the record isn't in the key's default store")
	}
}

func TestCompat_VectorStoreAndTimestampRequiredWithoutDefault(t *testing.T) {
	s := shared(t)
	tn := s.tenant(s.Nodes[0])
	key, err := s.admin(s.Nodes[0]).CreateKey(s.ctx, client.KeyRequest{OrganizationID: tn.org})
	s.must(err)
	tn.key = key.Key
	s.ok(s.sync(s.Nodes[1], tn, tn.batch(client.Incremental, upsert("ns", "a", `{}`))))
	for field, without := range map[string]func(*client.SyncRequest){
		"vector_store_id": func(b *client.SyncRequest) { b.VectorStoreID = "" },
		"sync_timestamp":  func(b *client.SyncRequest) { b.Timestamp = "" },
	} {
		batch := tn.batch(client.Incremental, upsert("ns", "a", `{}`))
		without(&batch)
		e := s.refused(s.sync(s.Nodes[1], tn, batch), http.StatusBadRequest, "VALIDATION_FAILED")
		if len(e.Error.Details) != 1 || e.Error.Details[0].Field != field {
			t.Errorf("without %s: %+v", field, e.Error.Details)
		}
	}
}

func TestCompat_IncrementalLeavesTheRest(t *testing.T) {
	s := shared(t)
	tn := s.tenant(s.Nodes[0])
	s.ok(s.sync(s.Nodes[0], tn, tn.batch(client.Incremental, upsert("ns", "a", `{"v":1}`), upsert("ns", "b", `{"v":1}`), upsert("other", "a", `{}`))))
	out := s.ok(s.sync(s.Nodes[1], tn, tn.batch(client.Incremental, upsert("ns", "a", `{"v":2}`))))
	if out.Details != (client.Details{Updated: 1}) {
		t.Errorf("details %+v", out.Details)
	}
	found := s.all(s.Nodes[2], tn, "ns")
	if len(found) != 2 || string(found["a"].Data) != `{"v":2}` || string(found["b"].Data) != `{"v":1}` || len(s.all(s.Nodes[2], tn, "other")) != 1 {
		t.Errorf("%v", found)
	}
}

func TestCompat_FullRefreshReplacesTheNamespace(t *testing.T) {
	s := shared(t)
	tn := s.tenant(s.Nodes[0])
	s.ok(s.sync(s.Nodes[0], tn, tn.batch(client.Incremental, upsert("ns", "a", `{}`), upsert("ns", "b", `{}`), upsert("other", "a", `{}`))))
	out := s.ok(s.sync(s.Nodes[1], tn, tn.batch(client.FullRefresh, upsert("ns", "b", `{}`), upsert("ns", "c", `{}`))))
	if out.Details != (client.Details{Created: 1, Unchanged: 1, Removed: 1}) || out.Results != (client.Counts{Upserted: 2}) {
		t.Errorf("%+v", out)
	}
	found := s.all(s.Nodes[2], tn, "ns")
	if _, gone := found["a"]; len(found) != 2 || gone {
		t.Errorf("%v", found)
	}
	if len(s.all(s.Nodes[2], tn, "other")) != 1 {
		t.Error("a refresh touched a namespace that it doesn't name")
	}
	out = s.ok(s.sync(s.Nodes[2], tn, tn.batch(client.FullRefresh, remove("ns", "anything"))))
	if len(s.all(s.Nodes[0], tn, "ns")) != 0 || out.Details.Removed != 2 || out.Results.Deleted != 1 {
		t.Errorf("a lone delete doesn't empty the namespace: %+v", out)
	}
}

func TestCompat_UpsertReplacesTheWholeRecord(t *testing.T) {
	s := shared(t)
	tn := s.tenant(s.Nodes[0])
	whole := client.Operation{Action: client.Upsert, Namespace: "ns", ID: "a", Data: json.RawMessage(`{"a":1}`), SourceSystem: "crm",
		File: json.RawMessage(`{"url":"https://x.example/f"}`), CreatedAt: "2024-01-01T00:00:00Z", UpdatedAt: "2024-01-02T00:00:00+02:00"}
	s.ok(s.sync(s.Nodes[0], tn, tn.batch(client.Incremental, whole)))
	r := s.all(s.Nodes[1], tn, "ns")["a"]
	if r.SourceSystem == nil || *r.SourceSystem != "crm" || string(r.File) != string(whole.File) || r.CreatedAt == nil || *r.CreatedAt != whole.CreatedAt || r.UpdatedAt == nil || *r.UpdatedAt != whole.UpdatedAt {
		t.Errorf("the record came back as %+v", r)
	}
	s.ok(s.sync(s.Nodes[0], tn, tn.batch(client.Incremental, client.Operation{Action: client.Upsert, Namespace: "ns", ID: "a"})))
	r = s.all(s.Nodes[1], tn, "ns")["a"]
	if r.SourceSystem != nil || r.CreatedAt != nil || string(r.Data) == `{"a":1}` {
		t.Errorf("something of the old record is left: %+v", r)
	}
}

func TestCompat_DeleteIsIdempotent(t *testing.T) {
	s := shared(t)
	tn := s.tenant(s.Nodes[0])
	for range 2 {
		out := s.ok(s.sync(s.Nodes[1], tn, tn.batch(client.Incremental, remove("ns", "never was"))))
		if out.Results != (client.Counts{Deleted: 1}) || out.Details.Removed != 0 {
			t.Errorf("%+v", out)
		}
	}
	path := "/v1/vector-stores/" + tn.store + "/namespaces/ns/records/never%20was"
	s.refused(s.answer(s.Nodes[2], request{path: path, key: tn.key}), http.StatusNotFound, "RECORD_NOT_FOUND")
}

func TestCompat_LaterOperationWins(t *testing.T) {
	s := shared(t)
	tn := s.tenant(s.Nodes[0])
	out := s.ok(s.sync(s.Nodes[0], tn, tn.batch(client.Incremental,
		upsert("ns", "a", `{"v":1}`), remove("ns", "a"), upsert("ns", "a", `{"v":2}`), upsert("ns", "b", `{}`), remove("ns", "b"))))
	if out.Results != (client.Counts{Upserted: 3, Deleted: 2}) || out.Details != (client.Details{Created: 1, Unchanged: 1}) {
		t.Errorf("%+v", out)
	}
	found := s.all(s.Nodes[1], tn, "ns")
	if len(found) != 1 || string(found["a"].Data) != `{"v":2}` {
		t.Errorf("%v", found)
	}
}

func TestCompat_UnchangedUpsertIsSuccess(t *testing.T) {
	s := shared(t)
	tn := s.tenant(s.Nodes[0])
	first := s.ok(s.sync(s.Nodes[0], tn, tn.batch(client.Incremental, upsert("ns", "a", `{"b":1,"a":2}`))))
	again := s.ok(s.sync(s.Nodes[1], tn, tn.batch(client.Incremental, upsert("ns", "a", `{"a":2,"b":1}`))))
	if again.Results.Upserted != 1 || again.Details != (client.Details{Unchanged: 1}) {
		t.Errorf("%+v", again)
	}
	if r := s.all(s.Nodes[2], tn, "ns")["a"]; r.Index != first.Index || string(r.Data) != `{"b":1,"a":2}` {
		t.Errorf("the record moved: %+v, first at %d", r, first.Index)
	}
}

func TestCompat_NoOperations(t *testing.T) {
	s := shared(t)
	tn := s.tenant(s.Nodes[0])
	if out := s.ok(s.sync(s.Nodes[1], tn, tn.batch(client.Incremental))); out.Processed != 0 || out.Results != (client.Counts{}) {
		t.Errorf("%+v", out)
	}
	s.refused(s.sync(s.Nodes[1], tn, tn.batch(client.FullRefresh)), http.StatusBadRequest, "VALIDATION_FAILED")
}

func TestCompat_TimestampForms(t *testing.T) {
	s := shared(t)
	tn := s.tenant(s.Nodes[0])
	for _, good := range []string{"2024-05-01T10:00:00Z", "2024-05-01T10:00:00.123456789Z", "2024-05-01T12:00:00+02:00", "2024-05-01T12:00:00+0200", "2024-05-01T10:00:00", "20240501T100000Z"} {
		batch := tn.batch(client.Incremental, upsert("ns", "a", `{}`))
		batch.Timestamp = good
		if got := s.sync(s.Nodes[0], tn, batch); got.status != http.StatusOK {
			t.Errorf("%s: %d %s", good, got.status, got.body)
		}
	}
	for _, bad := range []string{"2024-05-01", "yesterday", "1714557600", "2024-13-01T10:00:00Z", "1969-12-31T23:59:59Z", "2262-01-01T00:00:00Z", "2024-05-01T10:00:00.1234567890Z"} {
		batch := tn.batch(client.Incremental, upsert("ns", "a", `{}`))
		batch.Timestamp = bad
		if got := s.sync(s.Nodes[0], tn, batch); got.status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", bad, got.status, got.body)
		}
	}
}

func TestCompat_NotFoundAndMethods(t *testing.T) {
	s := shared(t)
	tn := s.tenant(s.Nodes[0])
	s.refused(s.answer(s.Nodes[0], request{path: "/v1/nothing", key: tn.key}), http.StatusNotFound, "ROUTE_NOT_FOUND")
	s.refused(s.answer(s.Nodes[0], request{path: syncPath, key: tn.key}), http.StatusMethodNotAllowed, "METHOD_NOT_ALLOWED")
	s.refused(s.answer(s.Nodes[0], request{path: "/v1/vector-stores/" + tn.store + "/namespaces/none", key: tn.key}), http.StatusNotFound, "NAMESPACE_NOT_FOUND")
}

func TestCompat_NamesAreBytes(t *testing.T) {
	s := shared(t)
	tn := s.tenant(s.Nodes[0])
	// the same letter composed and decomposed, and two cases: four records
	s.ok(s.sync(s.Nodes[0], tn, tn.batch(client.Incremental,
		upsert("ns", "\u00e9", `{}`), upsert("ns", "e\u0301", `{}`), upsert("ns", "a", `{}`), upsert("ns", "A", `{}`))))
	if found := s.all(s.Nodes[1], tn, "ns"); len(found) != 4 {
		t.Errorf("%d records, want 4", len(found))
	}
}
