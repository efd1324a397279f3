package api

import (
	"context"
	"crypto/tls"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"pipesync/cluster"
	"pipesync/cluster/certs"
	"pipesync/fsm"
)

// TestKeyMadeElsewhere: a key and a store that this node has not applied yet
// are looked up at the leader's read index before they are refused.
func TestKeyMadeElsewhere(t *testing.T) {
	e := newEdge(t)
	text, id, hash := mintKey()
	arrive := func() {
		e.mustApply(&fsm.KeyCreate{RequestID: mintRequestID(), KeyID: id, Org: testOrg, SecretHash: hash})
	}
	e.cluster.readIndex = func(context.Context) (uint64, error) {
		arrive()
		arrive = func() { e.mustApply(&fsm.StoreCreate{RequestID: mintRequestID(), Org: testOrg, Store: "vs_new"}) }
		return e.log.sm.Applied(), nil
	}
	body := strings.Replace(goodSync, "{", `{"sync_timestamp":"2026-01-01T00:00:00Z","vector_store_id":"vs_new",`, 1)
	e.sync(body, header{"X-API-Key", text}).want(200, "")
}

func TestMissesAreKeptAndBounded(t *testing.T) {
	e := newEdge(t)
	now := time.Unix(0, 0)
	e.handler.(*server).misses = newMisses(3, missLifetime, func() time.Time { return now })
	rounds := 0
	e.cluster.readIndex = func(context.Context) (uint64, error) {
		rounds++
		return e.log.sm.Applied(), nil
	}
	unknown, _, _ := mintKey()
	ask := func(wantRounds int) {
		t.Helper()
		e.sync(goodSync, header{"X-API-Key", unknown}).want(401, codeInvalidAPIKey)
		if rounds != wantRounds {
			t.Errorf("%d rounds, want %d", rounds, wantRounds)
		}
	}
	ask(1)
	ask(1)
	now = now.Add(missLifetime - 1)
	ask(1)
	now = now.Add(1)
	ask(2)
	for range 20 {
		another, _, _ := mintKey()
		e.sync(goodSync, header{"X-API-Key", another}).want(401, codeInvalidAPIKey)
		if n := len(e.handler.(*server).misses.until); n > 3 {
			t.Fatalf("%d misses are kept", n)
		}
	}
}

// TestLookupsAreBounded holds one look-up and refuses the next.
func TestLookupsAreBounded(t *testing.T) {
	e := newEdge(t, func(d *Deps) { d.Limits.MaxLookups = 1 })
	entered, leave := make(chan bool), make(chan bool)
	e.cluster.readIndex = func(context.Context) (uint64, error) {
		entered <- true
		<-leave
		return e.log.sm.Applied(), nil
	}
	unknown, _, _ := mintKey()
	done := make(chan *reply)
	go func() { done <- e.sync(goodSync, header{"X-API-Key", unknown}) }()
	<-entered
	other, _, _ := mintKey()
	e.sync(goodSync, header{"X-API-Key", other}).want(503, codeOverloaded)
	e.sync(goodSync).want(200, "") // who is known needs no look-up
	leave <- true
	(<-done).want(401, codeInvalidAPIKey)
}

func TestWrongSecretsAreRefusedWithoutLookup(t *testing.T) {
	e := newEdge(t)
	e.cluster.readIndex = func(context.Context) (uint64, error) {
		t.Error("looked up")
		return 0, context.Canceled
	}
	other, _, _ := mintKey()
	for _, key := range []string{
		e.key[:keyTextChars-secretChars] + other[keyTextChars-secretChars:],
		e.key + "a", e.key[1:], strings.ToUpper(e.key), strings.Replace(e.key, "psk_", "psk-", 1), "x",
		e.key[:keyTextChars-secretChars-1] + "-" + e.key[keyTextChars-secretChars:], e.key[:keyTextChars-1] + "1",
	} {
		e.sync(goodSync, header{"X-API-Key", key}).want(401, codeInvalidAPIKey)
	}
}

// TestRevokedKeyIsRefusedHere: a revocation that this node has applied costs
// no proposal.
func TestRevokedKeyIsRefusedHere(t *testing.T) {
	e := newEdge(t)
	e.mustApply(&fsm.KeyRevoke{RequestID: mintRequestID(), KeyID: keyIDOf(e.key)})
	e.cluster.propose = func(context.Context, []byte) ([]byte, error) {
		t.Error("proposed")
		return nil, context.Canceled
	}
	e.sync(goodSync).want(401, codeInvalidAPIKey)
}

func TestAdminTokens(t *testing.T) {
	e := newEdge(t)
	for value, status := range map[string]int{
		"Bearer " + testAdmin: 200, "bearer  " + testClusterAdmin: 200, "Bearer " + testAdmin + "x": 401,
		"Basic " + testAdmin: 401, "Bearer": 401, testAdmin: 401,
	} {
		e.do("GET", "/v1/admin/members", "", header{"Authorization", value}).want(status, "")
	}
	e = newEdge(t, func(d *Deps) { d.AdminToken = "" })
	e.do("GET", "/v1/admin/members", "", header{"Authorization", "Bearer "}).want(401, codeMissingAdminToken)
}

// An administrator's certificate stands for the token, whatever token is sent with it; one
// that is nobody's is told as such where no token is.
func TestAdminCertificates(t *testing.T) {
	port := &fakeCertificates{}
	e := newEdge(t, func(d *Deps) { d.Certificates = port })
	ask := func(authorization string, overTLS bool) *reply {
		r := httptest.NewRequest("GET", "/v1/admin/members", nil)
		r.Header.Set("Authorization", authorization)
		if overTLS {
			r.TLS = &tls.ConnectionState{}
		}
		return e.serve(r)
	}
	const none, right, wrong = "", "Bearer " + testAdmin, "Bearer no"
	for _, c := range []struct {
		err           error
		authorization string
		overTLS       bool
		status        int
		code          Code
	}{
		{nil, none, true, 200, ""},
		{nil, wrong, true, 200, ""},
		{nil, none, false, 401, codeMissingAdminToken},
		{certs.ErrNoCertificate, none, true, 401, codeMissingAdminToken},
		{certs.ErrNoCertificate, wrong, true, 401, codeInvalidAdminToken},
		{certs.ErrUntrusted, none, true, 401, codeInvalidAdminCertificate},
		{certs.ErrUntrusted, wrong, true, 401, codeInvalidAdminToken},
		{certs.ErrUntrusted, right, true, 200, ""},
	} {
		port.err = c.err
		ask(c.authorization, c.overTLS).want(c.status, c.code)
	}
}

// TestAdminTokenBeforeTheState: a member that has just started can't judge the
// cluster's token before its state is there, and says so instead of refusing it.
func TestAdminTokenBeforeTheState(t *testing.T) {
	e := newEdge(t, func(d *Deps) { d.State = emptyState(t) })
	e.do("GET", "/v1/admin/status", "").want(200, "")
	e.do("GET", "/v1/admin/status", "", header{"Authorization", "Bearer " + testClusterAdmin}).want(503, codeNotReady)
	e = newEdge(t, func(d *Deps) { d.State = emptyState(t) })
	e.cluster.status = func() cluster.Status { return cluster.Status{NodeID: "node_1", Role: cluster.RoleUnjoined} }
	e.do("GET", "/v1/admin/status", "", header{"Authorization", "Bearer " + testClusterAdmin}).want(401, codeInvalidAdminToken)
}

func FuzzParseKey(f *testing.F) {
	text, _, _ := mintKey()
	f.Add(text)
	f.Fuzz(func(t *testing.T, text string) {
		id, _, ok := parseKey(text)
		if ok && !strings.HasPrefix(text, "psk_"+strings.TrimPrefix(id, "key_")+"_") {
			t.Errorf("%q has the id %q", text, id)
		}
	})
}

func TestMintedKeysParse(t *testing.T) {
	seen := make(map[string]bool)
	for range 100 {
		text, id, hash := mintKey()
		gotID, gotHash, ok := parseKey(text)
		if !ok || gotID != id || gotHash != hash || seen[text] {
			t.Fatalf("%q does not parse as minted", text)
		}
		seen[text] = true
	}
}

func FuzzCursor(f *testing.F) {
	f.Add(cursor{scope: 1, generation: 2, after: "id"}.encode())
	f.Add("")
	f.Add("\nAQAAAAEAAAACaWQ")
	f.Fuzz(func(t *testing.T, text string) {
		c, ok := decodeCursor(text)
		if ok && c.encode() != text {
			t.Errorf("%q decodes as %+v, which encodes as %q", text, c, c.encode())
		}
	})
}

func TestCursorHoldsTheLongestName(t *testing.T) {
	want := cursor{scope: 1<<32 - 1, generation: 7, after: strings.Repeat("🦀", 255)}
	if got, ok := decodeCursor(want.encode()); !ok || got != want {
		t.Errorf("%+v", got)
	}
}
