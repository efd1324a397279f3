package api

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	"pipesync/fsm"
)

func hashOf(token string) string {
	hash := sha256.Sum256([]byte(token))
	return hex.EncodeToString(hash[:])
}

// From the first rotation on neither the cluster's token of before nor the node's own is
// good, and the rotation may be asked for again with the new one.
func TestAdminTokenRotation(t *testing.T) {
	e := newEdge(t)
	const path, second = "/v1/admin/admin-token/rotate", "the second token of the cluster"
	e.do("POST", path, `{"sha256":"`+hashOf(second)+`"}`).want(409, codeClusterTooOld)
	e.mustApply(&fsm.VersionRaise{Version: fsm.MaxClusterVersion})
	for _, body := range []string{``, `{}`, `{"sha256":"no"}`, `{"sha256":"` + hashOf("x")[2:] + `"}`, `{"sha256":"` + strings.Repeat("0", 64) + `"}`} {
		e.do("POST", path, body).want(400, codeValidationFailed)
	}
	body := e.do("POST", path, `{"sha256":"`+hashOf(second)+`"}`).want(200, "").body
	if want := `{"fingerprint":"` + hashOf(second)[:8] + `","changes":1}`; body != want {
		t.Errorf("%s, want %s", body, want)
	}
	for token, status := range map[string]int{testAdmin: 401, testClusterAdmin: 401, second: 200} {
		e.do("GET", "/v1/admin/members", "", header{"Authorization", "Bearer " + token}).want(status, "")
	}
	again := e.do("POST", path, `{"sha256":"`+hashOf(second)+`"}`, header{"Authorization", "Bearer " + second}).want(200, "").body
	if again != body {
		t.Errorf("again: %s", again)
	}
}
