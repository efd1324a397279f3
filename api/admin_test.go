package api

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"pipesync/cluster"
)

func TestKeysLifecycle(t *testing.T) {
	e := newEdge(t)
	r := e.do("POST", "/v1/admin/keys", `{"organization_id":"org_new","name":"nightly","vector_store_id":"vs_a"}`).want(201, "").
		wantHeader("Cache-Control", "no-store")
	var made keyCreatedReply
	r.decode(&made)
	want := `{"key":"` + made.Key + `","key_id":"` + made.KeyID + `","organization_id":"org_new","vector_store_id":"vs_a",` +
		`"name":"nightly","actions":null,"vector_store_ids":null,"namespaces":null,"created_at":"2026-03-01T12:00:00Z","expires_at":null}`
	r.wantBody(want)
	if !regexp.MustCompile(`^psk_[0-9a-hjkmnp-tv-z]{26}_[a-z2-7]{52}$`).MatchString(made.Key) || keyIDOf(made.Key) != made.KeyID {
		t.Errorf("minted %q, %q", made.Key, made.KeyID)
	}
	body := strings.Replace(goodSync, "org_acme", "org_new", 1)
	e.sync(body, header{"X-API-Key", made.Key}).want(200, "")

	list := `{"keys":[{"key_id":"` + made.KeyID + `","organization_id":"org_new","vector_store_id":"vs_a","name":"nightly",` +
		`"actions":null,"vector_store_ids":null,"namespaces":null,"created_at":"2026-03-01T12:00:00Z","expires_at":null,"revoked_at":%s,"rotated_to":null}],"next_cursor":null}`
	e.do("GET", "/v1/admin/keys?organization_id=org_new", "").want(200, "").wantBody(fmt.Sprintf(list, "null"))
	e.log.advance(time.Hour)
	for i := range 2 { // revoking is idempotent
		e.do("DELETE", "/v1/admin/keys/"+made.KeyID, "").want(200, "").
			wantBody(fmt.Sprintf(`{"key_id":"%s","revoked":true,"index":%d}`, made.KeyID, 5+i))
	}
	e.do("GET", "/v1/admin/keys?organization_id=org_new", "").want(200, "").wantBody(fmt.Sprintf(list, `"2026-03-01T13:00:00Z"`))
	e.sync(body, header{"X-API-Key", made.Key}).want(401, codeInvalidAPIKey)
	e.do("DELETE", "/v1/admin/keys/nonsense", "").want(404, codeKeyNotFound)
	e.do("POST", "/v1/admin/keys", `{"organization_id":"org_new"}`).want(201, "").decode(&made)
	if made.VectorStoreID != nil {
		t.Error("a key without a store has one")
	}
	if strings.Contains(e.lines.String(), "psk_") {
		t.Error("the log has a key")
	}
}

func TestOrganizations(t *testing.T) {
	e := newEdge(t)
	e.do("POST", "/v1/admin/stores", `{"organization_id":"org_b","vector_store_id":"vs_1"}`).want(201, "")
	const empty = `,"created_at":"2026-03-01T12:00:00Z","usage":{"records":0,"bytes":0,"tombstones":0,"namespaces":0,"digest":"00000000000000000000000000000000"}}`
	const rowA, rowB = `{"organization_id":"org_acme"` + empty, `{"organization_id":"org_b"` + empty
	e.do("GET", "/v1/admin/organizations", "").want(200, "").wantBody(`{"organizations":[` + rowA + `,` + rowB + `],"next_cursor":null}`)
	var page struct {
		NextCursor string `json:"next_cursor"`
	}
	e.do("GET", "/v1/admin/organizations?limit=1", "").want(200, "").decode(&page)
	e.do("GET", "/v1/admin/organizations?cursor="+page.NextCursor, "").want(200, "").wantBody(`{"organizations":[` + rowB + `],"next_cursor":null}`)
	e.push(up("n", "1", "1"))
	var limits struct {
		Usage jsontext.Value `json:"usage"`
	}
	e.do("GET", "/v1/admin/limits/org_acme", "").want(200, "").decode(&limits)
	if !strings.Contains(string(limits.Usage), `"records":1,`) {
		t.Errorf("usage is %s", limits.Usage)
	}
	e.do("GET", "/v1/admin/organizations", "").want(200, "").wantBody(`{"organizations":[` +
		`{"organization_id":"org_acme","created_at":"2026-03-01T12:00:00Z","usage":` + string(limits.Usage) + `},` + rowB + `],"next_cursor":null}`)
	e.do("DELETE", "/v1/admin/organizations/org_acme", "").want(200, "").wantBody(`{"organization_id":"org_acme","deleted":true}`)
	e.do("DELETE", "/v1/admin/organizations/org_acme", "").want(404, codeOrganizationNotFound)
	e.do("DELETE", "/v1/admin/organizations/acme", "").want(400, codeValidationFailed)
	e.sync(goodSync).want(401, codeInvalidAPIKey)
	e.do("GET", "/v1/vector-stores/vs_main/namespaces", "").want(401, codeInvalidAPIKey)
	e.do("POST", "/v1/admin/stores", `{"organization_id":"org_acme","vector_store_id":"vs_main"}`).want(201, "")
	e.sync(goodSync).want(401, codeInvalidAPIKey)
	e.do("GET", "/v1/admin/keys", "").want(200, "").wantBody(`{"keys":[],"next_cursor":null}`)
}

func TestStoreDelete(t *testing.T) {
	e := newEdge(t)
	e.push(up("n", "1", "1"))
	const path = "/v1/admin/stores/vs_main?organization_id="
	e.do("DELETE", path+"org_acme", "").want(200, "").
		wantBody(`{"organization_id":"org_acme","vector_store_id":"vs_main","deleted":true}`)
	e.do("DELETE", path+"org_acme", "").want(404, codeVectorStoreNotFound)
	e.do("DELETE", path+"org_none", "").want(404, codeOrganizationNotFound)
	e.do("DELETE", path, "").want(400, codeValidationFailed)
	e.sync(goodSync).want(404, codeVectorStoreNotFound)
	e.do("GET", "/v1/vector-stores/vs_main/namespaces/n", "").want(404, codeVectorStoreNotFound)

	e.do("POST", "/v1/admin/stores", `{"organization_id":"org_acme","vector_store_id":"vs_main"}`).want(201, "")
	e.do("GET", "/v1/vector-stores/vs_main/namespaces", "").want(200, "").wantBody(`{"namespaces":[],"next_cursor":null}`)
}

func TestStores(t *testing.T) {
	e := newEdge(t)
	body := `{"organization_id":"org_b","vector_store_id":"vs_1"}`
	e.do("POST", "/v1/admin/stores", body).want(201, "").
		wantBody(`{"organization_id":"org_b","vector_store_id":"vs_1","created":true}`)
	e.do("POST", "/v1/admin/stores", body).want(200, "").
		wantBody(`{"organization_id":"org_b","vector_store_id":"vs_1","created":false}`)
	e.do("GET", "/v1/admin/stores?organization_id=org_b", "").want(200, "").
		wantBody(`{"stores":[{"organization_id":"org_b","vector_store_id":"vs_1","created_at":"2026-03-01T12:00:00Z",` +
			`"usage":{"records":0,"bytes":0,"tombstones":0,"namespaces":0,"digest":"00000000000000000000000000000000"}}],"next_cursor":null}`)
	e.do("GET", "/v1/admin/stores?organization_id=org_none", "").want(200, "").wantBody(`{"stores":[],"next_cursor":null}`)
}

func TestAdminListsInPages(t *testing.T) {
	e := newEdge(t)
	e.makeKey("org_empty", "")
	var stores, keys []string
	for _, org := range []string{"org_b", "org_c", "org_d"} {
		for i := range 3 {
			store := fmt.Sprintf("vs_%s%d", org[4:], i)
			stores = append(stores, store)
			keys = append(keys, keyIDOf(e.makeKey(org, store)))
		}
	}
	for _, limit := range []int{1, 2, 3, 4, 10, 11, 1000} {
		if diff := cmp.Diff(append([]string{"vs_main"}, stores...), e.follow("/v1/admin/stores", "stores", "vector_store_id", limit)); diff != "" {
			t.Errorf("limit %d: %s", limit, diff)
		}
		if got := e.follow("/v1/admin/keys", "keys", "key_id", limit); len(got) != len(keys)+2 {
			t.Errorf("limit %d: %d keys", limit, len(got))
		}
	}
}

func TestAdminBodies(t *testing.T) {
	e := newEdge(t)
	for _, test := range []struct {
		path, body string
		code       Code
		field      string
	}{
		{"keys", `{`, codeMalformedJSON, ""},
		{"keys", `{"organization_id":"org_a","organization_id":"org_b"}`, codeMalformedJSON, ""},
		{"keys", "{\"name\":\"\xff\"}", codeMalformedJSON, ""},
		{"keys", `[]`, codeValidationFailed, ""},
		{"keys", `{}`, codeValidationFailed, "organization_id"},
		{"keys", ``, codeValidationFailed, "organization_id"},
		{"keys", `{"organization_id":5}`, codeValidationFailed, "organization_id"},
		{"keys", `{"organization_id":"acme"}`, codeValidationFailed, "organization_id"},
		{"keys", `{"organization_id":"org_a/b"}`, codeValidationFailed, "organization_id"},
		{"keys", `{"organization_id":"org_` + strings.Repeat("a", 65) + `"}`, codeValidationFailed, "organization_id"},
		{"keys", `{"organization_id":"org_a","vector_store_id":"store"}`, codeValidationFailed, "vector_store_id"},
		{"keys", `{"organization_id":"org_a","name":"\u0007"}`, codeValidationFailed, "name"},
		{"keys", `{"organization_id":"org_a","nmae":"x"}`, codeValidationFailed, "nmae"},
		{"stores", `{"organization_id":"org_a"}`, codeValidationFailed, "vector_store_id"},
		{"members/join", `{"token":"t"}`, codeValidationFailed, "peer"},
		{"members/join", `{"peer":"h:1"}`, codeValidationFailed, "token"},
		{"members/join", `{"peer":"10.0.0.7","token":"t"}`, codeValidationFailed, "peer"},
	} {
		got := e.do("POST", "/v1/admin/"+test.path, test.body).want(400, test.code).failure()
		if test.field != "" && (len(got.Details) == 0 || got.Details[0].Field != test.field) {
			t.Errorf("%s: details %+v", test.body, got.Details)
		}
	}
	e.do("POST", "/v1/admin/keys", strings.Repeat(" ", maxAdminBodyBytes+1)).want(413, codePayloadTooLarge)
	e.do("GET", "/v1/admin/keys?organization_id=acme", "").want(400, codeValidationFailed)
}

// TestAdminRefusalsAreWorded as those of a sync: the field stands before the
// rule in the message and beside it in the details.
func TestAdminRefusalsAreWorded(t *testing.T) {
	e := newEdge(t)
	for _, test := range []struct{ method, path, body, want, detail string }{
		{"POST", "keys", `[]`, "the body must be a JSON object", "must be a JSON object"},
		{"POST", "keys", `{"organization_id":5}`, "organization_id must be a string", "must be a string"},
		{"POST", "members/join", `{"nonvoter":"no"}`, "nonvoter must be true or false", "must be true or false"},
		{"POST", "keys", `{"nmae":"x"}`, "nmae is not a field of this request", "is not a field of this request"},
		{"POST", "stores", `{}`, "2 problems; the first: organization_id is required", "is required"},
		{"POST", "keys", `{"name":"a","name":"b"}`, "the body is not acceptable JSON: an object has the same key twice at byte 12",
			"an object has the same key twice (at byte 12)"},
		{"POST", "keys", `{"name":"a"} x`, "the body is not acceptable JSON: a character that JSON does not allow there at byte 13",
			"a character that JSON does not allow there (at byte 13)"},
		{"GET", "keys?limit=0", "", "limit must be a number from 1 to 1000", "must be a number from 1 to 1000"},
	} {
		got := e.do(test.method, "/v1/admin/"+test.path, test.body).failure()
		if got.Message != test.want || len(got.Details) == 0 || got.Details[0].Message != test.detail {
			t.Errorf("%s: %q, %+v", test.body, got.Message, got.Details)
		}
	}
}

func TestStatusTellsAnOpenHTTPPort(t *testing.T) {
	e := newEdge(t, func(d *Deps) { d.InsecureHTTP = true })
	if body := e.do("GET", "/v1/admin/status", "").want(200, "").body; !strings.Contains(body, `"insecure":true`) {
		t.Errorf("got %s", body)
	}
}

func TestMembers(t *testing.T) {
	e := newEdge(t)
	lag, silence := uint64(7), 1500*time.Millisecond
	members, err := e.cluster.Members()
	if err != nil {
		t.Fatal(err)
	}
	members = append(members, cluster.Member{ID: "node_2", PeerAddr: "127.0.0.1:8811", Voter: true, Follower: cluster.Follower{Lag: &lag, Silence: &silence}})
	e.cluster.members = func() ([]cluster.Member, error) { return members, nil }
	listed := `{"id":"node_1","peer":"127.0.0.1:8801","http":"http://127.0.0.1:8800","voter":true,"leader":true,"alive":true,"version":"test","clock_offset_ms":null,"diverged":false,"lag_entries":null,"last_contact_ms":null},` +
		`{"id":"node_2","peer":"127.0.0.1:8811","http":"","voter":true,"leader":false,"alive":false,"version":"","clock_offset_ms":null,"diverged":false,"lag_entries":7,"last_contact_ms":1500}`
	healthy := e.cluster.Status()
	healthy.Disk = cluster.Disk{Dir: "/data", FreeBytes: 7, TotalBytes: 9, MinFreeBytes: 5}
	e.cluster.status = func() cluster.Status { return healthy }
	figures, err := e.log.sm.Metrics()
	if err != nil {
		t.Fatal(err)
	}
	state := strconv.FormatUint(figures.Storage.DiskBytes, 10)
	e.do("GET", "/v1/admin/members", "").want(200, "").wantBody(`{"members":[` + listed + `]}`)
	e.do("GET", "/v1/admin/status", "").want(200, "").wantBody(`{"node_id":"node_1","cluster_id":"cluster_1","version":"test",` +
		`"role":"leader","term":1,"leader":{"id":"node_1","peer":"127.0.0.1:8801","http":"http://127.0.0.1:8800"},` +
		`"applied_index":2,"commit_index":0,"last_log_index":0,"voters":3,"failures_tolerated":1,"insecure":false,"certificate":null,"http_certificate":null,"ca_rotation":null,"ready":true,` +
		`"last_contact_ms":0,"disk":{"directory":"/data","free_bytes":7,"total_bytes":9,"min_free_bytes":5},"sizes":{"log_file_bytes":100,"log_since_snapshot_bytes":30,"snapshot_bytes":40,"state_bytes":` + state + `},"usage":{"records":0,"bytes":0,"tombstones":0,"namespaces":0,"digest":"00000000000000000000000000000000"},"alarms":[],"state":{"cluster_version":1,"index":2,"mark":null,"scrub":null},"members":[` + listed + `]}`)
}

func TestMembershipChanges(t *testing.T) {
	e := newEdge(t)
	e.cluster.join = func(_ context.Context, peer, token string, nonvoter bool) error {
		if peer != "10.0.0.2:8801" || token != "secret" || !nonvoter {
			t.Errorf("joined %q with %q, %v", peer, token, nonvoter)
		}
		return nil
	}
	e.do("POST", "/v1/admin/members/join", `{"peer":"10.0.0.2:8801","token":"secret","nonvoter":true}`).want(200, "").
		wantBody(`{"node_id":"node_1","cluster_id":"cluster_1","voter":false}`)
	e.cluster.remove = func(ctx context.Context, node string, force bool) error {
		// Whoever asks hears that there is no leader before their patience ends.
		if deadline, ok := ctx.Deadline(); !ok || time.Until(deadline) > 30*time.Second {
			t.Errorf("a removal may last until %v", deadline)
		}
		if node != "node 2" || !force {
			t.Errorf("removed %q, %v", node, force)
		}
		return nil
	}
	e.do("DELETE", "/v1/admin/members/node%202?force=true", "").want(200, "").wantBody(`{"node_id":"node 2","removed":true}`)
	e.do("DELETE", "/v1/admin/members/node_2?force=maybe", "").want(400, codeValidationFailed)
	if got := e.removeFailing(cluster.ErrQuorumAtRisk).want(409, codeQuorumAtRisk).failure(); !strings.Contains(got.Message, "2 of 3 voters") {
		t.Errorf("the arithmetic is missing: %s", got.Message)
	}
	if got := e.joinFailing(context.DeadlineExceeded).want(503, codeNoLeader).failure(); !strings.Contains(got.Message, "10.0.0.1:8801") {
		t.Errorf("got %s", got.Message)
	}
}

func TestLeaderTransfer(t *testing.T) {
	e := newEdge(t)
	leader := "node_1"
	asked := 0
	e.cluster.status = func() cluster.Status {
		asked++
		if asked > 5 { // this node hears of it a little later
			return cluster.Status{ClusterID: "c", LeaderID: leader, Ready: true}
		}
		return cluster.Status{ClusterID: "c", LeaderID: "node_1", Ready: true}
	}
	e.cluster.transfer = func(_ context.Context, node string) error {
		leader = "node_2"
		return nil
	}
	e.do("POST", "/v1/admin/leader/transfer", `{"node":"node_2"}`).want(200, "").wantBody(`{"leader_id":"node_2"}`)
	e.cluster.transfer = func(context.Context, string) error { return cluster.ErrUnknownMember }
	e.do("POST", "/v1/admin/leader/transfer", `{"node":"node_9"}`).want(404, codeMemberNotFound)
}
