package api

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pipesync/fsm"
)

func TestCheckpointByteForByte(t *testing.T) {
	e := newEdge(t)
	r := e.syncAt("11:00:01", `"checkpoint":{"pipeline":"crm/contacts","state":`+awkwardData+`},`).want(200, "")
	if !strings.Contains(r.body, `"processed":0`) || strings.Contains(r.body, "warnings") {
		t.Errorf("got %s", r.body)
	}
	got := e.do("GET", "/v1/pipeline/checkpoints/crm%2Fcontacts", "").want(200, "").wantHeader("X-Pipesync-Index", "3")
	want := `{"pipeline":"crm/contacts","state":` + awkwardData + `,"sync_id":"sync_X","index":3,"updated_at":"2026-03-01T12:00:00Z"}`
	if diff := cmp.Diff(want, masked(got.body)); diff != "" {
		t.Error(diff)
	}
	e.key = e.makeKey("org_other", "")
	e.do("GET", "/v1/pipeline/checkpoints/crm%2Fcontacts", "").want(404, codeCheckpointNotFound)
}

// A retry that comes late leaves the checkpoint, and says so, also as a replay
// and in the history.
func TestLateCheckpointIsSkipped(t *testing.T) {
	e := newEdge(t)
	e.syncAt("11:00:02", `"checkpoint":{"pipeline":"p","state":2},`, up("n", "1", "2")).want(200, "")
	const late = `"checkpoint":{"pipeline":"p","state":1},`
	const warnings = `"warnings":[{"code":"STALE_OPERATIONS_SKIPPED","count":1},{"code":"STALE_CHECKPOINT_SKIPPED","count":1}]`
	for range 2 {
		body := `{"organization_id":"org_acme","sync_mode":"incremental",` + late + `"sync_timestamp":"2026-03-01T11:00:01Z","operations":[` + up("n", "1", "1") + `]}`
		if r := e.sync(body, header{"Idempotency-Key", "k"}).want(200, ""); !strings.Contains(r.body, warnings) {
			t.Errorf("got %s", r.body)
		}
	}
	e.syncAt("11:00:01", `"on_stale":"reject",`+late).want(409, codeStaleSync)
	if got := e.do("GET", "/v1/pipeline/checkpoints/p", "").want(200, "").body; !strings.Contains(got, `"state":2,`) {
		t.Errorf("got %s", got)
	}
	list := e.do("GET", "/v1/pipeline/syncs?limit=1", "").want(200, "").body
	if !strings.Contains(list, `"idempotent":true,"pipeline":"p",`) || !strings.Contains(list, warnings) {
		t.Errorf("got %s", list)
	}
}

func TestCheckpointDelete(t *testing.T) {
	e := newEdge(t)
	const path = "/v1/pipeline/checkpoints/crm%2Fcontacts"
	e.syncAt("11:00:02", `"checkpoint":{"pipeline":"crm/contacts","state":2},`).want(200, "")
	e.do("DELETE", path, "", e.limited(`"actions":["read","delete_namespace"]`)).want(403, codeKeyScopeDenied)
	e.do("DELETE", path, "", header{"X-API-Key", ""}).want(401, codeMissingAPIKey)
	e.do("DELETE", path, "", header{"X-API-Key", e.makeKey("org_other", "")}).want(404, codeCheckpointNotFound)
	var reply checkpointDeletedReply
	e.do("DELETE", path, "", e.limited(`"actions":["delete"],"namespaces":["none"]`)).want(200, "").decode(&reply)
	if reply.Pipeline != "crm/contacts" || !reply.Deleted || reply.Index == 0 {
		t.Errorf("%+v", reply)
	}
	e.do("GET", path, "").want(404, codeCheckpointNotFound)
	e.do("DELETE", path, "").want(404, codeCheckpointNotFound)
	e.do("DELETE", "/v1/pipeline/checkpoints/"+strings.Repeat("p", fsm.MaxNameBytes+1), "").want(404, codeCheckpointNotFound)
	if r := e.syncAt("11:00:01", `"checkpoint":{"pipeline":"crm/contacts","state":1},`).want(200, ""); strings.Contains(r.body, "warnings") {
		t.Errorf("a pipeline that begins anew is told %s", r.body)
	}
}
