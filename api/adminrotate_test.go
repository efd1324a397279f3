package api

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"pipesync/cluster"
	"pipesync/fsm"
)

func (e *edge) rotate(key header, body string) (rotated keyRotatedReply) {
	e.t.Helper()
	e.do("POST", "/v1/admin/keys/"+keyIDOf(key.value)+"/rotate", body).want(201, "").wantHeader("Cache-Control", "no-store").decode(&rotated)
	return rotated
}

func TestRotatedKeysOverlap(t *testing.T) {
	e := newEdge(t)
	old := e.limited(`"name":"loader","actions":["upsert"],"namespaces":["n*"],"expires_in_seconds":86400`)
	e.log.advance(time.Hour)
	r := e.do("POST", "/v1/admin/keys/"+keyIDOf(old.value)+"/rotate", `{"overlap_seconds":600}`).want(201, "")
	var rotated keyRotatedReply
	r.decode(&rotated)
	const scope = `"organization_id":"org_acme","vector_store_id":"vs_main","name":"loader","actions":["upsert"],"vector_store_ids":null,"namespaces":["n*"],`
	r.wantBody(fmt.Sprintf(`{"key":"%s","key_id":"%s",%s"created_at":"2026-03-01T13:00:00Z","expires_at":"2026-03-02T13:00:00Z",`+
		`"previous":{"key_id":"%s",%s"created_at":"2026-03-01T12:00:00Z","expires_at":"2026-03-01T13:10:00Z","revoked_at":null,"rotated_to":"%s"}}`,
		rotated.Key, rotated.KeyID, scope, keyIDOf(old.value), scope, rotated.KeyID))
	fresh := header{"X-API-Key", rotated.Key}
	if rotated.KeyID != keyIDOf(rotated.Key) || rotated.Key == old.value {
		t.Errorf("%+v", rotated)
	}
	e.sync(goodSync, old).want(200, "")
	e.sync(goodSync, fresh).want(200, "")
	e.sync(mixedSync, fresh).want(403, codeKeyScopeDenied)
	e.log.advance(10 * time.Minute)
	e.sync(goodSync, old).want(401, codeInvalidAPIKey)
	e.sync(goodSync, fresh).want(200, "")
	if got := e.do("POST", "/v1/admin/keys/"+keyIDOf(old.value)+"/rotate", "").want(409, codeKeyEnded).failure(); got.Message != "the key has expired" {
		t.Errorf("%q", got.Message)
	}
	if strings.Contains(e.lines.String(), "psk_") {
		t.Error("the log has a key")
	}
}

func TestRotateWithoutOverlap(t *testing.T) {
	e := newEdge(t)
	old := header{"X-API-Key", e.key}
	rotated := e.rotate(old, `{"overlap_seconds":0}`)
	if p := rotated.Previous; p.RevokedAt == nil || p.ExpiresAt != nil {
		t.Errorf("%+v", p)
	}
	if got := e.sync(goodSync, old).want(401, codeInvalidAPIKey).failure(); got.Message != "the API key has been revoked" {
		t.Errorf("%q", got.Message)
	}
	e.sync(goodSync, header{"X-API-Key", rotated.Key}).want(200, "")
}

func TestRotateOverlapsADayByDefault(t *testing.T) {
	for _, body := range []string{"", "{}", `{"overlap_seconds":null}`} {
		e := newEdge(t)
		if p := e.rotate(header{"X-API-Key", e.key}, body).Previous; p.ExpiresAt == nil || *p.ExpiresAt != "2026-03-02T12:00:00Z" {
			t.Errorf("%s: %+v", body, p)
		}
	}
}

func TestRotateRefusals(t *testing.T) {
	e := newEdge(t)
	path := "/v1/admin/keys/" + keyIDOf(e.key) + "/rotate"
	for _, body := range []string{`{"overlap_seconds":-1}`, `{"overlap_seconds":7776001}`, `{"overlap":1}`} {
		e.do("POST", path, body).want(400, codeValidationFailed)
	}
	e.do("POST", "/v1/admin/keys/nonsense/rotate", "").want(404, codeKeyNotFound)
	e.do("POST", "/v1/admin/keys/key_"+mintULID()+"/rotate", "").want(404, codeKeyNotFound)
	e.do("POST", path, "", header{"Authorization", ""}).want(401, codeMissingAdminToken)
}

// TestRotateOfAKeyMadeElsewhere: this node hears of it at the read index.
func TestRotateOfAKeyMadeElsewhere(t *testing.T) {
	e := newEdge(t)
	text, id, hash := mintKey()
	e.cluster.readIndex = func(context.Context) (uint64, error) {
		e.mustApply(&fsm.KeyCreate{RequestID: mintRequestID(), KeyID: id, Org: testOrg, SecretHash: hash})
		return e.log.sm.Applied(), nil
	}
	e.rotate(header{"X-API-Key", text}, "")
}

// TestUnknownRotation isn't safe to repeat: it would make another key.
func TestUnknownRotation(t *testing.T) {
	e := newEdge(t)
	e.cluster.propose = func(context.Context, []byte) ([]byte, error) { return nil, cluster.ErrOutcomeUnknown }
	if e.do("POST", "/v1/admin/keys/"+keyIDOf(e.key)+"/rotate", "").want(503, codeOutcomeUnknown).failure().Retryable {
		t.Error("retryable")
	}
}

// TestRotatedKeyIsToldAllTheSame where this node can't read it back: nothing else
// has its text.
func TestRotatedKeyIsToldAllTheSame(t *testing.T) {
	e := newEdge(t, func(d *Deps) { d.State = neverApplies{d.State}; d.Limits.ReadTimeout = time.Millisecond })
	want := e.rotate(header{"X-API-Key", e.key}, `{"overlap_seconds":60}`)
	if want.OrganizationID != testOrg || want.CreatedAt != "2026-03-01T12:00:00Z" || *want.Previous.ExpiresAt != "2026-03-01T12:01:00Z" {
		t.Errorf("%+v", want)
	}
	e.sync(goodSync, header{"X-API-Key", want.Key}).want(200, "")
}

// neverApplies is a state of which nobody learns that an index is applied.
type neverApplies struct{ State }

func (neverApplies) WaitApplied(ctx context.Context, _ uint64) error {
	<-ctx.Done()
	return ctx.Err()
}
