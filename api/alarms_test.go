package api

import (
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pipesync/cluster"
	"pipesync/cluster/certs"
	"pipesync/fsm/audit"
)

func TestAlarms(t *testing.T) {
	e := newEdge(t)
	const metric = `pipesync_alarm{code="CLOCK_SKEW"} `
	if body := e.do("GET", "/metrics", "").want(200, "").body; !strings.Contains(body, metric+"0\n") {
		t.Errorf("healthy: %s", body)
	}
	healthy := e.cluster.Status()
	e.cluster.status = func() cluster.Status {
		st := healthy
		st.ClockSkewed, st.ClockOffset = true, -31*time.Second
		return st
	}
	if body := e.do("GET", "/metrics", "").want(200, "").body; !strings.Contains(body, metric+"1\n") ||
		!strings.Contains(body, "pipesync_clock_offset_seconds -31\n") {
		t.Errorf("skewed: %s", body)
	}
	body := e.do("GET", "/v1/admin/status", "").want(200, "").body
	if !strings.Contains(body, `"alarms":[{"code":"CLOCK_SKEW","message":"this node's clock is -31s off`) {
		t.Errorf("status: %s", body)
	}
}

// fakeCertificates are those of an HTTP port.
type fakeCertificates struct {
	status certs.Status
	name   string // of the administrator, whoever asks
	err    error
}

func (f *fakeCertificates) Status() certs.Status { return f.status }

func (f *fakeCertificates) Administrator([]*x509.Certificate, string) (string, error) {
	return f.name, f.err
}

func TestAlarmsOfCertificates(t *testing.T) {
	end := time.Date(2026, 5, 30, 12, 0, 0, 0, time.UTC)
	port := &fakeCertificates{status: certs.Status{NotAfter: end.Add(time.Hour), CAs: []string{strings.Repeat("b", 64)}}}
	https := newEdge(t, func(d *Deps) { d.Certificates = port })
	body := https.do("GET", "/v1/admin/status", "").want(200, "").body
	if !strings.Contains(body, `"certificate":null,"http_certificate":{"not_after":"2026-05-30T13:00:00Z","trusted_cas":["`+strings.Repeat("b", 64)+`"]}`) || !strings.Contains(body, `"alarms":[]`) {
		t.Errorf("the HTTP port's: %s", body)
	}
	if body := https.do("GET", "/metrics", "").want(200, "").body; !strings.Contains(body, "\npipesync_certificate_not_after_timestamp_seconds{port=\"http\"} 1.780146e+09") {
		t.Errorf("the HTTP port's: %s", body)
	}
	port.status.Late = true
	if body := https.do("GET", "/v1/admin/status", "").want(200, "").body; !strings.Contains(body, `"code":"CERTIFICATE_EXPIRING","message":"this node's certificate for the http port ends at 2026-05-30T13`) {
		t.Errorf("the HTTP port's, late: %s", body)
	}
	e := newEdge(t)
	healthy := e.cluster.Status()
	with := func(c *certs.Status) {
		e.cluster.status = func() cluster.Status {
			st := healthy
			st.Certificate = c
			return st
		}
	}
	for _, c := range []struct {
		have  *certs.Status
		alarm string
		reply string
		gauge string
	}{
		{nil, `"alarms":[]`, `"certificate":null`, ""},
		{&certs.Status{NotAfter: end, CAs: []string{strings.Repeat("a", 64)}}, `"alarms":[]`,
			`"certificate":{"not_after":"2026-05-30T12:00:00Z","trusted_cas":["` + strings.Repeat("a", 64) + `"]}`, "1.7801424e+09"},
		{&certs.Status{NotAfter: end, Late: true}, `"code":"CERTIFICATE_EXPIRING","message":"this node's certificate for the peer port ends at 2026-05-30T12:00:00Z`, `"trusted_cas":[]`, "1.7801424e+09"},
		{&certs.Status{NotAfter: end, Late: true, Problem: errors.New("torn")}, `"alarms":[{"code":"CERTIFICATE_INVALID","message":"torn: put a certificate there`, `"not_after":"2026`, "1.7801424e+09"},
		{&certs.Status{Problem: errors.New("torn")}, `"code":"CERTIFICATE_INVALID"`, `"not_after":null`, ""},
	} {
		with(c.have)
		body := e.do("GET", "/v1/admin/status", "").want(200, "").body
		if !strings.Contains(body, c.alarm) || !strings.Contains(body, c.reply) {
			t.Errorf("%+v: %s", c.have, body)
		}
		metrics := e.do("GET", "/metrics", "").want(200, "").body
		if gauge := "\npipesync_certificate_not_after_timestamp_seconds{port=\"peer\"} " + c.gauge; strings.Contains(metrics, gauge) != (c.gauge != "") {
			t.Errorf("%+v: metrics have %q: %t", c.have, gauge, c.gauge == "")
		}
	}
}

// A node whose disk is full serves reads, and takes writes that another leads.
func TestAlarmOfAFullDisk(t *testing.T) {
	e := newEdge(t)
	if body := e.do("GET", "/readyz?verbose", "").want(200, "").body; !strings.Contains(body, "[+] disk\n") {
		t.Errorf("healthy: %s", body)
	}
	healthy := e.cluster.Status()
	e.cluster.status = func() cluster.Status {
		st := healthy
		st.Disk = cluster.Disk{FreeBytes: 1000, MinFreeBytes: 5000, Full: true}
		return st
	}
	const why = "1000 bytes are free on this node's disk, and it takes no writes as leader below 5000: make room, or give it a larger disk"
	if body := e.do("GET", "/readyz?verbose", "").want(200, "").body; !strings.Contains(body, "[!] disk: "+why+"\n") {
		t.Errorf("readyz: %s", body)
	}
	if body := e.do("GET", "/v1/admin/status", "").want(200, "").body; !strings.Contains(body, `"alarms":[{"code":"DISK_FULL","message":"`+why+`"}]`) {
		t.Errorf("status: %s", body)
	}
	body := e.do("GET", "/metrics", "").want(200, "").body
	for _, want := range []string{`pipesync_alarm{code="DISK_FULL"} 1`, "pipesync_disk_free_bytes 1000", "pipesync_disk_min_free_bytes 5000"} {
		if !strings.Contains(body, want+"\n") {
			t.Errorf("metrics lack %s", want)
		}
	}
}

// A node that misses others serves all the same.
func TestAlarmOfDeadMembers(t *testing.T) {
	e := newEdge(t)
	healthy := e.cluster.Status()
	e.cluster.status = func() cluster.Status {
		st := healthy
		st.Dead = []cluster.DeadMember{{ID: "n2", SilentFor: 31_400 * time.Millisecond}, {ID: "n3", SilentFor: time.Hour}}
		return st
	}
	const why = "members do not answer this node: n2 for 31s, n3 for 1h0m0s; start them again, or take those that are lost for good out by pipesync leave"
	if body := e.do("GET", "/readyz?verbose", "").want(200, "").body; !strings.Contains(body, "[!] members: "+why+"\n") {
		t.Errorf("readyz: %s", body)
	}
	if body := e.do("GET", "/v1/admin/status", "").want(200, "").body; !strings.Contains(body, `"alarms":[{"code":"MEMBER_DEAD","message":"`+why+`"}]`) {
		t.Errorf("status: %s", body)
	}
	if body := e.do("GET", "/metrics", "").want(200, "").body; !strings.Contains(body, `pipesync_alarm{code="MEMBER_DEAD"} 1`) {
		t.Errorf("metrics: %s", body)
	}
}

// testAudit is an auditor that says what it is told.
type testAudit struct {
	alarm, refusal error
	scrub          audit.Scrub
}

func (a *testAudit) LastScrub() (audit.Scrub, audit.Verdict, bool) {
	return a.scrub, audit.Agrees, a.scrub.Index != 0
}

func (a *testAudit) Alarm() error { return a.alarm }

func (a *testAudit) Refusal() error { return errors.Join(a.alarm, a.refusal) }

// A node whose state can't be trusted serves nothing that is read from it, keys
// neither, and says why wherever one asks.
func TestNothingIsReadFromAStateInDoubt(t *testing.T) {
	audit := &testAudit{}
	e := newEdge(t, func(d *Deps) { d.Audit = audit })
	sync := func() *reply {
		e.log.advance(time.Minute)
		return e.sync(`{"organization_id":"org_acme","sync_mode":"incremental","operations":[]}`)
	}
	read := func() *reply {
		return e.do("GET", "/v1/vector-stores/"+testStore+"/namespaces?consistency=stale", "")
	}
	ready := func(status int, line string) {
		t.Helper()
		if body := e.do("GET", "/readyz?verbose", "").want(status, "").body; !strings.Contains(body, line) {
			t.Errorf("ready: %s", body)
		}
	}
	sync().want(200, "")
	read().want(200, "")
	ready(200, "[+] state\n")

	audit.refusal = errors.New("not compared yet")
	ready(503, "[-] state: not compared yet\n")
	read().want(503, "NOT_READY")
	sync().want(200, "") // the leader decides

	audit.refusal, audit.alarm = nil, errors.New("reseed it")
	ready(503, "[-] state: reseed it\n")
	for _, r := range []*reply{read(), sync()} {
		if got := r.want(503, "NOT_READY").failure(); got.Message != "reseed it" || !got.Retryable {
			t.Errorf("failure %+v", got)
		}
	}
	e.do("GET", "/v1/admin/keys", "").want(503, "NOT_READY")
	if body := e.do("GET", "/v1/admin/status", "").want(200, "").body; !strings.Contains(body, `"ready":false`) ||
		!strings.Contains(body, `"alarms":[{"code":"STATE_DIVERGED","message":"reseed it"}]`) {
		t.Errorf("status: %s", body)
	}
	if body := e.do("GET", "/metrics", "").body; !strings.Contains(body, `pipesync_alarm{code="STATE_DIVERGED"} 1`) {
		t.Errorf("metrics: %s", body)
	}
}

func TestScrubs(t *testing.T) {
	audit := &testAudit{}
	e := newEdge(t, func(d *Deps) { d.Audit = audit })
	var begun struct {
		Index uint64 `json:"index"`
	}
	e.do("POST", "/v1/admin/scrub", "").want(202, "").decode(&begun)
	if begun.Index != e.log.sm.Applied() {
		t.Errorf("at entry %d, applied %d", begun.Index, e.log.sm.Applied())
	}
	view, err := e.log.sm.View()
	if err != nil {
		t.Fatal(err)
	}
	defer view.Close()
	marks, err := view.Marks()
	if err != nil || marks.ScrubIndex != begun.Index {
		t.Fatalf("marks %+v, %v", marks, err)
	}
	audit.scrub.Index, audit.scrub.Hash, audit.scrub.Rows = begun.Index, "ab", 7
	audit.scrub.FinishedAt = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	want := fmt.Sprintf(`"alarms":[],"state":{"cluster_version":1,"index":3,"mark":{"index":%d,"chain":"%016x"},"scrub":{"index":%d,"hash":"ab","rows":7,"bytes":0,`+
		`"finished_at":"2026-03-01T12:00:00Z","verdict":"agrees","problems":[]}}`, begun.Index, marks.Last[0].Chain, begun.Index)
	if body := e.do("GET", "/v1/admin/status", "").want(200, "").body; !strings.Contains(body, want) {
		t.Errorf("status %s, want %s", body, want)
	}
	audit.scrub.Problems = []string{"namespace 1 of store 2 has too many records"}
	if body := e.do("GET", "/v1/admin/status", "").want(200, "").body; !strings.Contains(body, `{"code":"STATE_INCONSISTENT"`) ||
		!strings.Contains(body, `"ready":true`) {
		t.Errorf("status %s", body)
	}
}

// docs/operations.md says of each alarm what it means and what to do.
func TestAlarmsAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	var documented []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([A-Z_]+)` \\|").FindAllStringSubmatch(string(text), -1) {
		documented = append(documented, row[1])
	}
	if !slices.Equal(documented, alarmCodes) {
		t.Errorf("documented are %v, and there are %v", documented, alarmCodes)
	}
}
