package api

import (
	"crypto/sha256"
	"encoding/json"
	"strings"
	"testing"

	"pipesync/fsm"
)

func TestJoinTokens(t *testing.T) {
	e := newEdge(t)
	pin := strings.Repeat("5c", 32)
	e.cluster.joinCAs = []string{pin}

	var made tokenCreatedReply
	body := e.do("POST", "/v1/admin/tokens", `{"lifetime_seconds":600}`).want(201, "").wantHeader("Cache-Control", "no-store").body
	if err := json.Unmarshal([]byte(body), &made); err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(made.Token, ".")
	if len(parts) != 3 || parts[0] != made.TokenID || parts[2] != pin || made.ExpiresInSeconds != 600 {
		t.Fatalf("made %+v", made)
	}
	list := func() string { return e.do("GET", "/v1/admin/tokens", "").want(200, "").body }
	if got := list(); !strings.Contains(got, `"token_id":"`+made.TokenID+`"`) || !strings.Contains(got, `"expires_in_seconds":600,"used_by":null`) || strings.Contains(got, parts[1]) {
		t.Errorf("listed: %s", got)
	}
	view, err := e.log.sm.View()
	if err != nil {
		t.Fatal(err)
	}
	row, found, err := view.JoinToken(made.TokenID)
	view.Close()
	if err != nil || !found || row.SecretHash != sha256.Sum256([]byte(parts[1])) {
		t.Errorf("stored: %+v, %v, %v", row, found, err)
	}
	e.mustApply(&fsm.TokenUse{RequestID: mintRequestID(), TokenID: made.TokenID, NodeID: "node_2"})
	if got := list(); !strings.Contains(got, `"used_by":"node_2"`) {
		t.Errorf("used: %s", got)
	}
	e.do("DELETE", "/v1/admin/tokens/"+made.TokenID, "").want(200, "").wantBody(`{"token_id":"` + made.TokenID + `","revoked":true}`)
	e.do("DELETE", "/v1/admin/tokens/"+made.TokenID, "").want(404, codeTokenNotFound)
	e.do("DELETE", "/v1/admin/tokens/"+strings.Repeat("x", 300), "").want(404, codeTokenNotFound)
	if got := list(); got != `{"tokens":[],"next_cursor":null}` {
		t.Errorf("revoked: %s", got)
	}

	// While the CA is being replaced, either will do.
	e.cluster.joinCAs = []string{pin, strings.Repeat("6d", 32)}
	if got := e.do("POST", "/v1/admin/tokens", `{}`).want(201, "").body; !strings.Contains(got, "."+strings.Join(e.cluster.joinCAs, ".")+`"`) {
		t.Errorf("made %s", got)
	}
	// Without a certificate there is nothing to pin.
	e.cluster.joinCAs = nil
	if err := json.Unmarshal([]byte(e.do("POST", "/v1/admin/tokens", `{}`).want(201, "").body), &made); err != nil {
		t.Fatal(err)
	}
	if strings.Count(made.Token, ".") != 1 || made.ExpiresInSeconds != 3600 {
		t.Errorf("in plain text: %+v", made)
	}
	for _, bad := range []string{`{"lifetime_seconds":0}`, `{"lifetime_seconds":3601}`, `{"lifetime_seconds":-1}`, `{"lifetime_seconds":4294967297}`} {
		if got := e.do("POST", "/v1/admin/tokens", bad).want(400, codeValidationFailed).body; !strings.Contains(got, "must be from 1 to 3600") {
			t.Errorf("%s: %s", bad, got)
		}
	}
}
