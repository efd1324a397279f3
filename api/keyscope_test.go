package api

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pipesync/fsm"
)

// limited makes a key by the admin route, with more fields than its organization.
func (e *edge) limited(fields string) header {
	e.t.Helper()
	var made keyCreatedReply
	e.do("POST", "/v1/admin/keys", `{"organization_id":"org_acme","vector_store_id":"vs_main",`+fields+`}`).want(201, "").decode(&made)
	return header{"X-API-Key", made.Key}
}

const (
	mixedOperations = `{"action":"upsert","id":"1","namespace":"docs/de"},{"action":"delete","id":"2","namespace":"docs/fr"},` +
		`{"action":"upsert","id":"3","namespace":"logs"}`
	mixedSync = `{"organization_id":"org_acme","sync_mode":"incremental","operations":[` + mixedOperations + `]}`
)

// TestSyncsOutOfScope are refused here, and say what of them is denied.
func TestSyncsOutOfScope(t *testing.T) {
	refresh := strings.Replace(mixedSync, "incremental", "full_refresh", 1)
	empty := `{"organization_id":"org_acme","sync_mode":"incremental","operations":[]}`
	at := func(i int) *int { return &i }
	for _, c := range []struct {
		scope, body, message string
		want                 detail
	}{
		{`"actions":["read"]`, mixedSync, "operation 0: the API key's actions don't include upsert",
			detail{Index: at(0), Field: "action", ID: "1", Namespace: "docs/de"}},
		{`"actions":["upsert","read","full_refresh"]`, mixedSync, "operation 1: the API key's actions don't include delete",
			detail{Index: at(1), Field: "action", ID: "2", Namespace: "docs/fr"}},
		{`"actions":["upsert","delete"]`, refresh, "the API key's actions don't include full_refresh", detail{Field: "sync_mode"}},
		{`"actions":["read","delete_namespace"]`, empty, "the API key's actions don't include upsert", detail{Field: "action"}},
		{`"vector_store_ids":["vs_main","vs_b"]`, strings.Replace(mixedSync, "{", `{"vector_store_id":"vs_none",`, 1),
			"the API key isn't for the vector store vs_none", detail{Field: "vector_store_id"}},
		{`"namespaces":["docs/*"]`, mixedSync, `operation 2: the API key isn't for the namespace "logs"`,
			detail{Index: at(2), Field: "namespace", ID: "3", Namespace: "logs"}},
		{`"namespaces":["docs/*"]`, refresh, `operation 2: the API key isn't for the namespace "logs"`,
			detail{Index: at(2), Field: "namespace", ID: "3", Namespace: "logs"}},
		{`"namespaces":["docs","logs"]`, mixedSync, `operation 0: the API key isn't for the namespace "docs/de"`,
			detail{Index: at(0), Field: "namespace", ID: "1", Namespace: "docs/de"}},
	} {
		e := newEdge(t)
		key := e.limited(c.scope)
		e.cluster.propose = func(context.Context, []byte) ([]byte, error) {
			t.Errorf("%s: proposed", c.scope)
			return nil, context.Canceled
		}
		got := e.sync(c.body, key).want(403, codeKeyScopeDenied).failure()
		c.want.Code, c.want.Message = "NOT_ALLOWED", strings.TrimLeft(strings.TrimPrefix(c.message, "operation "), "0123456789: ")
		if diff := cmp.Diff([]detail{c.want}, got.Details); diff != "" || got.Message != c.message {
			t.Errorf("%s: %q, %s", c.scope, got.Message, diff)
		}
	}
}

func TestSyncsInScope(t *testing.T) {
	refresh := strings.Replace(mixedSync, "incremental", "full_refresh", 1)
	for _, c := range []struct{ scope, body string }{
		{`"actions":["upsert","delete"],"vector_store_ids":["vs_main"],"namespaces":["docs/*","logs"]`, mixedSync},
		{`"actions":["full_refresh"],"namespaces":["*"]`, refresh},
		{`"actions":null,"vector_store_ids":null,"namespaces":null,"expires_in_seconds":null`, mixedSync},
		{`"actions":["delete"]`, `{"organization_id":"org_acme","sync_mode":"incremental","operations":[]}`},
	} {
		e := newEdge(t)
		e.sync(c.body, e.limited(c.scope)).want(200, "")
	}
	// A store that doesn't exist is told to those alone who may know.
	e := newEdge(t)
	missing := strings.Replace(mixedSync, "{", `{"vector_store_id":"vs_none",`, 1)
	e.sync(missing, e.limited(`"actions":["upsert","delete"]`)).want(404, codeVectorStoreNotFound)
	e.sync(missing, e.limited(`"vector_store_ids":["vs_main","vs_none"]`)).want(404, codeVectorStoreNotFound)
}

// TestScopeIsCheckedInTheLog too: with what was decided there no node can differ.
func TestScopeIsCheckedInTheLog(t *testing.T) {
	e := newEdge(t)
	key := e.limited(`"namespaces":["docs/*"]`)
	s := &fsm.Sync{
		RequestID: mintRequestID(), SyncID: "sync_1", Org: testOrg, KeyID: keyIDOf(key.value), Store: testStore, Mode: fsm.Incremental,
		Operations: []fsm.Operation{{Action: fsm.Delete, Namespace: "logs", ID: "1"}},
	}
	if got := e.mustApply(s); got.Outcome != fsm.KeyScopeDenied {
		t.Errorf("outcome %d", got.Outcome)
	}
}

func TestReadsInScope(t *testing.T) {
	e := newEdge(t)
	for _, namespace := range []string{"a", "docs/de", "docs/en", "docs/fr", "logs", "z"} {
		e.push(`{"action":"upsert","id":"1","namespace":"` + namespace + `"}`)
	}
	const base = "/v1/vector-stores/vs_main/namespaces"
	reader := e.limited(`"actions":["read"],"vector_store_ids":["vs_main"],"namespaces":["docs/*","z"]`)
	e.do("GET", base+"/z", "", reader).want(200, "")
	e.do("GET", base+"/docs%2Fde/records", "", reader).want(200, "")
	e.do("GET", base+"/docs%2Fde/records/1", "", reader).want(200, "")
	// Whether it exists isn't told either.
	for _, path := range []string{base + "/logs", base + "/none", base + "/logs/records", base + "/logs/records/1", "/v1/vector-stores/vs_b/namespaces"} {
		got := e.do("GET", path, "", reader).want(403, codeKeyScopeDenied).failure()
		if len(got.Details) != 1 || got.Details[0].Index != nil {
			t.Errorf("%s: %+v", path, got)
		}
	}
	// Lists have what may be read, page by page.
	for limit := 1; limit < 6; limit++ {
		e.key = reader.value
		got := e.follow(base, "namespaces", "name", limit)
		if fmt.Sprint(got) != "[docs/de docs/en docs/fr z]" {
			t.Errorf("limit %d: %v", limit, got)
		}
	}
	writer := e.limited(`"actions":["upsert","delete","full_refresh","delete_namespace"]`)
	for _, path := range []string{base, base + "/z", base + "/z/records", base + "/z/records/1"} {
		got := e.do("GET", path, "", writer).want(403, codeKeyScopeDenied).failure()
		if got.Message != "the API key's actions don't include read" || got.Details[0].Field != "" {
			t.Errorf("%s: %+v", path, got)
		}
	}
}

func TestNamespaceDeletionInScope(t *testing.T) {
	e := newEdge(t)
	e.push(`{"action":"upsert","id":"1","namespace":"docs"}`)
	const path = "/v1/vector-stores/vs_main/namespaces/"
	e.do("DELETE", path+"docs", "", e.limited(`"actions":["read","upsert","delete","full_refresh"]`)).want(403, codeKeyScopeDenied)
	deleter := e.limited(`"actions":["delete_namespace"],"vector_store_ids":["vs_main"],"namespaces":["docs"]`)
	e.do("DELETE", path+"none", "", deleter).want(403, codeKeyScopeDenied)
	e.do("DELETE", "/v1/vector-stores/vs_none/namespaces/docs", "", deleter).want(403, codeKeyScopeDenied)
	e.do("DELETE", path+"docs", "", deleter).want(200, "")
}

// TestSyncsInSight are a key's own, and those of what it may read.
func TestSyncsInSight(t *testing.T) {
	e := newEdge(t)
	writer := e.limited(`"actions":["upsert"]`)
	ids := map[string]string{}
	for name, c := range map[string]struct {
		key       header
		namespace string
	}{"own": {writer, "logs"}, "docs": {header{"X-API-Key", e.key}, "docs/de"}, "logs": {header{"X-API-Key", e.key}, "logs"}} {
		var done struct {
			SyncID string `json:"sync_id"`
		}
		e.sync(`{"organization_id":"org_acme","sync_mode":"incremental","operations":[`+up(c.namespace, "1", "1")+`]}`, c.key).want(200, "").decode(&done)
		ids[name] = done.SyncID
	}
	text, id, hash := mintKey()
	e.mustApply(&fsm.KeyCreate{RequestID: mintRequestID(), KeyID: id, Org: testOrg, SecretHash: hash, Scope: fsm.Scope{Stores: []string{"vs_b"}}})
	for name, c := range map[string]struct {
		key  header
		sees []string
	}{
		"everything":    {header{"X-API-Key", e.key}, []string{"own", "docs", "logs"}},
		"a writer":      {writer, []string{"own"}},
		"a reader":      {e.limited(`"actions":["read"],"namespaces":["docs/*"]`), []string{"docs"}},
		"another store": {header{"X-API-Key", text}, nil},
	} {
		list := e.do("GET", "/v1/pipeline/syncs", "", c.key).want(200, "").body
		for sync, id := range ids {
			seen := slices.Contains(c.sees, sync)
			if strings.Contains(list, id) != seen {
				t.Errorf("%s sees in %s, and should see %v: %s", name, list, c.sees, id)
			}
			one := e.do("GET", "/v1/pipeline/syncs/"+id, "", c.key)
			if seen {
				one.want(200, "")
			} else {
				one.want(403, codeKeyScopeDenied)
			}
		}
	}
}

// TestExpiredKeyIsRefusedHere by this node's clock, without a proposal.
func TestExpiredKeyIsRefusedHere(t *testing.T) {
	e := newEdge(t)
	key := e.limited(`"expires_in_seconds":60`)
	e.sync(goodSync, key).want(200, "")
	e.log.advance(time.Minute - 1)
	e.sync(goodSync, key).want(200, "")
	e.log.advance(1)
	e.cluster.propose = func(context.Context, []byte) ([]byte, error) {
		t.Error("proposed")
		return nil, context.Canceled
	}
	if got := e.sync(goodSync, key).want(401, codeInvalidAPIKey).failure(); got.Message != "the API key has expired" {
		t.Errorf("%q", got.Message)
	}
	e.do("GET", "/v1/vector-stores/vs_main/namespaces", "", key).want(401, codeInvalidAPIKey)
}

func TestScopeIsTold(t *testing.T) {
	e := newEdge(t)
	r := e.do("POST", "/v1/admin/keys", `{"organization_id":"org_new","vector_store_id":"vs_a","actions":["upsert","read","upsert"],`+
		`"vector_store_ids":["vs_b","vs_a"],"namespaces":["b*","a"],"expires_in_seconds":86400}`).want(201, "")
	var made keyCreatedReply
	r.decode(&made)
	fields := `"key_id":"` + made.KeyID + `","organization_id":"org_new","vector_store_id":"vs_a","name":"","actions":["read","upsert"],` +
		`"vector_store_ids":["vs_b","vs_a"],"namespaces":["b*","a"],"created_at":"2026-03-01T12:00:00Z","expires_at":"2026-03-02T12:00:00Z"`
	r.wantBody(`{"key":"` + made.Key + `",` + fields + `}`)
	e.do("GET", "/v1/admin/keys?organization_id=org_new", "").want(200, "").
		wantBody(`{"keys":[{` + fields + `,"revoked_at":null,"rotated_to":null}],"next_cursor":null}`)
}

func TestBadScopes(t *testing.T) {
	e := newEdge(t)
	many := strings.Repeat(`"n",`, fsm.MaxScopeNames) + `"n"`
	for fields, want := range map[string]string{
		`"actions":[]`:                                      "actions must not be empty; leave it out to limit nothing",
		`"actions":["write"]`:                               "actions/0 must be one of read, upsert, delete, full_refresh, delete_namespace",
		`"actions":"read"`:                                  "actions must be an array",
		`"actions":["read",5]`:                              "actions/1 must be a string",
		`"vector_store_ids":["vs_main","main"]`:             `vector_store_ids/1 must be "vs_" followed by 1 to 64 letters, digits, underscores or hyphens`,
		`"vector_store_ids":["vs_main",""]`:                 "vector_store_ids/1 is required",
		`"vector_store_ids":["vs_b"]`:                       "vector_store_id must be one of vector_store_ids, to which the key is limited",
		`"namespaces":[""]`:                                 "namespaces/0 must not be empty",
		`"namespaces":["a","\n*"]`:                          "namespaces/1 must not contain control characters",
		`"namespaces":["` + strings.Repeat("ä", 256) + `"]`: "namespaces/0 must have at most 255 characters",
		`"namespaces":[` + many + `]`:                       "namespaces must have at most 64 elements",
		`"expires_in_seconds":0`:                            "expires_in_seconds must be from 1 to 3153600000",
		`"expires_in_seconds":3153600001`:                   "expires_in_seconds must be from 1 to 3153600000",
		`"expires_in_seconds":1.5`:                          "expires_in_seconds must be a whole number",
		`"expires_in_seconds":"90d"`:                        "expires_in_seconds must be a whole number",
	} {
		got := e.do("POST", "/v1/admin/keys", `{"organization_id":"org_acme","vector_store_id":"vs_main",`+fields+`}`).
			want(400, codeValidationFailed).failure()
		if got.Message != want {
			t.Errorf("%s: %q, want %q", fields, got.Message, want)
		}
	}
}
