package api

import (
	"crypto/tls"
	"errors"
	"net/http/httptest"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pipesync/api/auditlog"
	"pipesync/cluster"
	"pipesync/cluster/certs"
	"pipesync/fsm"
)

// fakeAuditLog keeps what it is told.
type fakeAuditLog struct {
	recorded, refused []auditlog.Event
	causes            []string
	problem           error
}

func (f *fakeAuditLog) Record(e auditlog.Event) { f.recorded = append(f.recorded, e) }

func (f *fakeAuditLog) Refuse(e auditlog.Event, cause string) {
	f.refused, f.causes = append(f.refused, e), append(f.causes, cause)
}

func (f *fakeAuditLog) Problem() error { return f.problem }

func TestAdministratorsAreTakenDown(t *testing.T) {
	log, port := &fakeAuditLog{}, &fakeCertificates{name: "alice"}
	e := newEdge(t, func(d *Deps) { d.AuditLog, d.Certificates = log, port })
	const token = "admin-token:28931079" // the beginning of its SHA-256
	last := func() auditlog.Event {
		t.Helper()
		if len(log.recorded) == 0 {
			t.Fatal("nothing is taken down")
		}
		got := log.recorded[len(log.recorded)-1]
		log.recorded = nil
		if got.RequestID == "" || got.Remote != "192.0.2.1:1234" || got.Reason != "" {
			t.Errorf("%+v", got)
		}
		got.RequestID, got.Remote = "", ""
		for _, id := range []string{"key_id", "new_key_id", "token_id"} {
			if got.Target[id] != "" {
				got.Target[id] = got.Target[id][:strings.IndexByte(got.Target[id], '_')]
			}
		}
		return got
	}
	for _, c := range []struct {
		method, path, body string
		want               auditlog.Event
	}{
		{"POST", "/v1/admin/keys", `{"organization_id":"org_a","vector_store_id":"vs_a"}`,
			auditlog.Event{Action: "POST /v1/admin/keys", Status: 201, Target: map[string]string{"key_id": "key", "organization_id": "org_a", "vector_store_id": "vs_a"}}},
		{"POST", "/v1/admin/keys/" + keyIDOf(e.key) + "/rotate", ``,
			auditlog.Event{Action: "POST /v1/admin/keys/:key/rotate", Status: 201, Target: map[string]string{"key_id": "key", "new_key_id": "key"}}},
		{"DELETE", "/v1/admin/keys/key_none", ``,
			auditlog.Event{Action: "DELETE /v1/admin/keys/:key", Status: 404, Code: "KEY_NOT_FOUND", Target: map[string]string{"key_id": "key"}}},
		{"POST", "/v1/admin/tokens", `{}`, auditlog.Event{Action: "POST /v1/admin/tokens", Status: 201, Target: map[string]string{"token_id": "jt"}}},
		{"PATCH", "/v1/admin/limits/org_a", `{"requests_per_window":7}`,
			auditlog.Event{Action: "PATCH /v1/admin/limits/:org", Status: 200, Target: map[string]string{"organization_id": "org_a", "requests_per_window": "7"}}},
		{"PATCH", "/v1/admin/settings", `{"requests_per_window":70}`,
			auditlog.Event{Action: "PATCH /v1/admin/settings", Status: 200, Target: map[string]string{"requests_per_window": "70"}}},
		{"DELETE", "/v1/admin/stores/vs_a?organization_id=org_a", ``,
			auditlog.Event{Action: "DELETE /v1/admin/stores/:store", Status: 200, Target: map[string]string{"organization_id": "org_a", "vector_store_id": "vs_a"}}},
		{"POST", "/v1/admin/members/join", `{"peer":"10.0.0.1:8801","token":"of no concern"}`,
			auditlog.Event{Action: "POST /v1/admin/members/join", Status: 409, Code: "ALREADY_JOINED", Target: map[string]string{"peer": "10.0.0.1:8801"}}},
	} {
		if c.want.Status == 409 {
			e.joinFailing(cluster.ErrAlreadyJoined)
			log.recorded = nil
		}
		e.do(c.method, c.path, c.body)
		c.want.Actor = token
		if diff := cmp.Diff(c.want, last()); diff != "" {
			t.Errorf("%s %s:\n%s", c.method, c.path, diff)
		}
	}
	r := httptest.NewRequest("POST", "/v1/admin/scrub", nil)
	r.TLS = &tls.ConnectionState{}
	e.serve(r)
	if got := last(); got.Actor != "certificate:alice" {
		t.Errorf("by certificate: %+v", got)
	}
	for _, path := range []string{"/v1/admin/members", "/v1/admin/status", "/v1/admin/keys", "/livez"} {
		e.do("GET", path, "").want(200, "")
	}
	e.do("POST", "/v1/admin/scrub", "", header{"Authorization", ""}).want(401, codeMissingAdminToken)
	if len(log.recorded)+len(log.refused) > 0 {
		t.Errorf("what is none is taken down: %+v, %+v", log.recorded, log.refused)
	}
}

func TestRefusedCredentialsAreTakenDown(t *testing.T) {
	log, port := &fakeAuditLog{}, &fakeCertificates{err: certs.ErrUntrusted}
	e := newEdge(t, func(d *Deps) { d.AuditLog, d.Certificates = log, port })
	unknown, unknownID, _ := mintKey()
	revoked := e.makeKey(testOrg, testStore)
	e.mustApply(&fsm.KeyRevoke{RequestID: mintRequestID(), KeyID: keyIDOf(revoked)})
	limited := e.limited(`"actions":["read"]`)
	last := func() (auditlog.Event, string) {
		t.Helper()
		if len(log.refused) != 1 {
			t.Fatalf("%d refusals are taken down", len(log.refused))
		}
		got, cause := log.refused[0], log.causes[0]
		log.refused, log.causes = nil, nil
		return got, cause
	}
	log.recorded = nil
	sync := "POST /v1/pipeline/sync"
	for _, c := range []struct {
		name   string
		call   func() *reply
		action string
		actor  string
		code   Code
		reason string
	}{
		{"malformed", func() *reply { return e.sync(goodSync, header{"X-API-Key", "psk_nonsense"}) }, sync, "", codeInvalidAPIKey, "the API key is malformed"},
		{"unknown", func() *reply { return e.sync(goodSync, header{"X-API-Key", unknown}) }, sync, "key:" + unknownID, codeInvalidAPIKey, "the API key is not known"},
		{"with another secret", func() *reply {
			return e.sync(goodSync, header{"X-API-Key", e.key[:len(e.key)-1] + other(e.key[len(e.key)-1])})
		}, sync, "key:" + keyIDOf(e.key), codeInvalidAPIKey, "the API key is not known"},
		{"revoked", func() *reply { return e.sync(goodSync, header{"X-API-Key", revoked}) }, sync, "key:" + keyIDOf(revoked), codeInvalidAPIKey, "the API key has been revoked"},
		{"out of scope", func() *reply { return e.sync(goodSync, limited) }, sync, "key:" + keyIDOf(limited.value), codeKeyScopeDenied, "operation 0: the API key's actions don't include upsert"},
		{"of another organization", func() *reply { return e.sync(strings.Replace(goodSync, "org_acme", "org_other", 1)) }, sync, "key:" + keyIDOf(e.key), codeOrganizationMismatch, "organization_id"},
		{"a wrong admin token", func() *reply { return e.do("GET", "/v1/admin/status", "", header{"Authorization", "Bearer x"}) }, "GET /v1/admin/status", "admin-token:2d711642", codeInvalidAdminToken, "the admin token is not valid here"},
		{"a certificate", func() *reply {
			r := httptest.NewRequest("DELETE", "/v1/admin/members/n1", nil)
			r.TLS = &tls.ConnectionState{}
			return e.serve(r)
		}, "DELETE /v1/admin/members/:node", "", codeInvalidAdminCertificate, "not to be trusted"},
	} {
		answer := c.call()
		got, cause := last()
		if got.Action != c.action || got.Actor != c.actor || got.Code != string(c.code) || got.Status != answer.status || !strings.Contains(got.Reason, c.reason) {
			t.Errorf("%s: %+v", c.name, got)
		}
		if want := string(c.code) + " " + c.actor + " 192.0.2.1"; cause != want {
			t.Errorf("%s: the cause is %q, want %q", c.name, cause, want)
		}
	}
	if len(log.recorded) > 0 {
		t.Errorf("refusals are taken down as actions: %+v", log.recorded)
	}
}

// other is another character of a key's secret.
func other(b byte) string {
	if b == 'a' {
		return "b"
	}
	return "a"
}

func TestAlarmOfTheAuditLog(t *testing.T) {
	log := &fakeAuditLog{problem: errors.New("no room")}
	e := newEdge(t, func(d *Deps) { d.AuditLog = log })
	if body := e.do("GET", "/v1/admin/status", "").want(200, "").body; !strings.Contains(body, `"alarms":[{"code":"AUDIT_FAILING","message":"no room: make room`) {
		t.Error(body)
	}
	if body := e.do("GET", "/metrics", "").want(200, "").body; !strings.Contains(body, "pipesync_alarm{code=\"AUDIT_FAILING\"} 1\n") {
		t.Error(body)
	}
}

// TestTheAuditLogIsDocumented: docs/logs.md has its fields and actions, and the codes of
// refusals, and nothing else.
func TestTheAuditLogIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../docs/logs.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## The audit log\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var got, want []string
	for _, row := range regexp.MustCompile("(?m)^\\| (`.*?`) \\|").FindAllStringSubmatch(section, -1) {
		got = append(got, regexp.MustCompile("[a-z_]+").FindAllString(row[1], -1)...)
	}
	for f := range reflect.TypeFor[auditlog.Event]().Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		want = append(want, name)
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("fields (-code +document):\n%s", diff)
	}
	const begin, end = "<!-- actions: written by go test ./api -run Documented -update -->\n", "<!-- end of actions -->\n"
	before, actions, _ := strings.Cut(string(text), begin)
	actions, after, _ := strings.Cut(actions, end)
	list := ""
	for _, r := range (&server{}).routes() {
		if r.isAction() {
			list += "- `" + r.name() + "`\n"
		}
	}
	if *update {
		if err := os.WriteFile("../docs/logs.md", []byte(before+begin+list+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if diff := cmp.Diff(list, actions); diff != "" {
		t.Errorf("actions (-code +document): run go test ./api -run Documented -update\n%s", diff)
	}
	refusals, _, _ := strings.Cut(after, "**Bounds.**")
	codes := regexp.MustCompile("`([A-Z_]{9,})`").FindAllStringSubmatch(refusals, -1)
	for _, c := range codes {
		if !refusedCredentials[Code(c[1])] {
			t.Errorf("the document says that %s is taken down", c[1])
		}
	}
	if len(codes) != len(refusedCredentials) {
		t.Errorf("the document has %d codes of %d", len(codes), len(refusedCredentials))
	}
	for _, r := range (&server{}).routes() {
		for _, p := range regexp.MustCompile(`:([a-z]+)`).FindAllStringSubmatch(r.pattern, -1) {
			if parameterNames[p[1]] == "" {
				t.Errorf("%s: the parameter %s has no name", r.pattern, p[1])
			}
		}
	}
}
