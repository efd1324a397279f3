package api

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"pipesync/cluster"
	"pipesync/cluster/certs"
	"pipesync/fsm"
)

var update = flag.Bool("update", false, "rewrite the generated documents")

// TestErrorsDocument keeps docs/errors.md the same as the table.
func TestErrorsDocument(t *testing.T) {
	const path = "../docs/errors.md"
	want := errorsDocument()
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not what the table says: run go test ./api -run TestErrorsDocument -update", path)
	}
}

func errorsDocument() string {
	var b strings.Builder
	b.WriteString(`# Errors

Generated from the table in api/errortable.go; do not edit.

Every error has this body, whatever the route. ` + "`details`" + ` has the first 100 problems and ` + "`details_total`" + ` counts
all of them; ` + "`index`" + ` is there where a problem is an operation's. ` + "`retryable`" + ` says whether the same request may be
sent again as it is. Replies with status 429 and 503 have a ` + "`Retry-After`" + ` header in whole seconds.

` + "```json" + `
{"success":false,"error":{"code":"VALIDATION_FAILED","message":"…","status":400,"retryable":false,"request_id":"req_…",
  "details":[{"index":17,"field":"id","id":"…","namespace":"…","code":"INVALID_VALUE","message":"…"}],"details_total":1}}
` + "```" + `

| code | status | retryable | what it means | what to do |
|---|---|---|---|---|
`)
	for _, row := range errorTable {
		retryable := "no"
		switch {
		case row.code == codeOutcomeUnknown:
			retryable = "see right"
		case row.retryable:
			retryable = "yes"
		}
		fmt.Fprintf(&b, "| `%s` | %d | %s | %s | %s |\n", row.code, row.status, retryable, row.meaning, row.cure)
	}
	return b.String()
}

const goodSync = `{"organization_id":"org_acme","sync_mode":"incremental","operations":[{"action":"upsert","id":"1","namespace":"n"}]}`

// provocations makes each row of the table happen.
var provocations = map[Code]func(e *edge) *reply{
	codeMalformedJSON:    func(e *edge) *reply { return e.sync(`{"a":1,"a":2}`) },
	codeValidationFailed: func(e *edge) *reply { return e.sync(`{}`) },
	codeBatchSizeExceeded: func(e *edge) *reply {
		op := `,{"action":"delete","id":"1","namespace":"n"}`
		return e.sync(`{"organization_id":"org_acme","sync_mode":"incremental","operations":[` + strings.Repeat(op, 5001)[1:] + `]}`)
	},
	codeIdempotencyKeyReused: func(e *edge) *reply {
		e.sync(goodSync, header{"Idempotency-Key", "k"}).want(200, "")
		return e.sync(strings.Replace(goodSync, `"id":"1"`, `"id":"2"`, 1), header{"Idempotency-Key", "k"})
	},
	codeIdempotencyStoreFull: func(e *edge) *reply {
		for i := range testKeysMax {
			e.sync(goodSync, header{"Idempotency-Key", fmt.Sprint("k", i)}).want(200, "")
		}
		return e.sync(goodSync, header{"Idempotency-Key", "more"})
	},
	codeReconcileBacklog: func(e *edge) *reply {
		ops := make([]string, 5000)
		for i := range ops {
			ops[i] = up("n", fmt.Sprint(i), "1")
		}
		all := strings.Join(ops, ",")
		e.push(all)
		for {
			e.push(up("n", "more", "1"))
			r := e.sync(`{"organization_id":"org_acme","sync_mode":"full_refresh","operations":[` + all + `]}`)
			if r.status != 200 {
				return r.wantHeader("Retry-After", "10")
			}
		}
	},
	codeTimestampInFuture: func(e *edge) *reply { return e.syncAt("12:05:01", "", up("n", "1", "1")) },
	codeStaleSync: func(e *edge) *reply {
		e.syncAt("11:00:02", "", up("n", "1", "2")).want(200, "")
		return e.syncAt("11:00:01", `"on_stale":"reject",`, up("n", "2", "1"), up("n", "1", "1"))
	},
	codeStaleRefresh: func(e *edge) *reply {
		e.syncAt("11:00:02", "", up("n", "1", "2")).want(200, "")
		return e.refreshAt("11:00:01", up("n", "2", "1"))
	},
	codeRefreshTimestampReused: func(e *edge) *reply {
		e.refreshAt("11:00:01", up("n", "1", "1")).want(200, "")
		return e.refreshAt("11:00:01", up("n", "2", "1"))
	},
	codeSyncTooOld: func(e *edge) *reply {
		e.syncAt("11:00:02", "", down("n", "1")).want(200, "")
		e.collect("n")
		return e.syncAt("11:00:01", "", up("n", "1", "1"))
	},
	codeDeleteGuard: func(e *edge) *reply {
		e.syncAt("11:00:01", "", up("n", "1", "1"), up("n", "2", "1"), up("n", "3", "1")).want(200, "")
		return e.syncAt("11:00:02", `"max_delete_percent":33.333,`, down("n", "1"))
	},
	codeMissingAPIKey:     func(e *edge) *reply { return e.sync(goodSync, header{"X-API-Key", ""}) },
	codeInvalidAPIKey:     func(e *edge) *reply { return e.sync(goodSync, header{"X-API-Key", "psk_nonsense"}) },
	codeMissingAdminToken: func(e *edge) *reply { return e.do("GET", "/v1/admin/status", "", header{"Authorization", ""}) },
	codeInvalidAdminToken: func(e *edge) *reply { return e.do("GET", "/v1/admin/status", "", header{"Authorization", "Bearer x"}) },
	codeInvalidAdminCertificate: func(e *edge) *reply {
		e = newEdge(e.t, func(d *Deps) { d.Certificates = &fakeCertificates{err: certs.ErrUntrusted} })
		r := httptest.NewRequest("GET", "/v1/admin/status", nil)
		r.TLS = &tls.ConnectionState{}
		return e.serve(r)
	},
	codeOrganizationMismatch: func(e *edge) *reply {
		return e.sync(strings.Replace(goodSync, "org_acme", "org_other", 1))
	},
	codeKeyScopeDenied: func(e *edge) *reply { return e.sync(goodSync, e.limited(`"actions":["read"]`)) },
	codeJoinRefused:    func(e *edge) *reply { return e.joinFailing(cluster.ErrUnauthorized) },
	codeNoCA: func(e *edge) *reply {
		e.cluster.rotateCA = func(context.Context) (string, error) {
			return "", fmt.Errorf("beginning a rotation of the CA: %w", cluster.ErrNoAuthority)
		}
		return e.do("POST", "/v1/admin/ca/rotate", "")
	},
	codeNoCertificate: func(e *edge) *reply { return e.joinFailing(cluster.ErrNoCertificate) },
	codeAlreadyJoined: func(e *edge) *reply { return e.joinFailing(cluster.ErrAlreadyJoined) },
	codeNodeIDTaken:   func(e *edge) *reply { return e.joinFailing(cluster.ErrIDTaken) },
	codeNodeTooOld:    func(e *edge) *reply { return e.joinFailing(cluster.ErrVersionTooOld) },
	codeClusterTooOld: func(e *edge) *reply {
		e.cluster.propose = func(context.Context, []byte) ([]byte, error) {
			return (&fsm.Result{Outcome: fsm.VersionTooLow}).Encode(), nil
		}
		return e.do("POST", "/v1/admin/scrub", "")
	},
	codeOrganizationNotFound: func(e *edge) *reply { return e.do("GET", "/v1/admin/limits/org_none", "") },
	codeVectorStoreNotFound: func(e *edge) *reply {
		return e.do("GET", "/v1/vector-stores/vs_none/namespaces", "")
	},
	codeNamespaceNotFound: func(e *edge) *reply {
		return e.do("GET", "/v1/vector-stores/vs_main/namespaces/none", "")
	},
	codeRecordNotFound: func(e *edge) *reply {
		e.push(`{"action":"upsert","id":"1","namespace":"n"}`)
		return e.do("GET", "/v1/vector-stores/vs_main/namespaces/n/records/2", "")
	},
	codeSyncNotFound: func(e *edge) *reply { return e.do("GET", "/v1/pipeline/syncs/sync_"+mintULID(), "") },
	codeQuotaExceeded: func(e *edge) *reply {
		e.do("PATCH", "/v1/admin/settings", `{"requests_per_window":10000,"history_syncs_max":1}`).want(200, "")
		for i := range 1000 {
			s := &fsm.Sync{SyncID: "s", Org: testOrg, KeyID: keyIDOf(e.key), Store: testStore, Mode: fsm.Incremental}
			s.Checkpoint = &fsm.Checkpoint{Pipeline: fmt.Sprint("p", i), State: []byte("1")}
			e.mustApply(s)
		}
		return e.syncAt("11:00:01", `"checkpoint":{"pipeline":"more","state":1},`)
	},
	codeCheckpointNotFound: func(e *edge) *reply { return e.do("GET", "/v1/pipeline/checkpoints/none", "") },
	codeKeyEnded: func(e *edge) *reply {
		e.mustApply(&fsm.KeyRevoke{RequestID: mintRequestID(), KeyID: keyIDOf(e.key)})
		return e.do("POST", "/v1/admin/keys/"+keyIDOf(e.key)+"/rotate", "")
	},
	codeKeyNotFound: func(e *edge) *reply {
		return e.do("DELETE", "/v1/admin/keys/key_"+mintULID(), "")
	},
	codeTokenNotFound: func(e *edge) *reply {
		return e.do("DELETE", "/v1/admin/tokens/jt_"+mintULID(), "")
	},
	codeTooManyTokens: func(e *edge) *reply {
		e.cluster.propose = func(context.Context, []byte) ([]byte, error) {
			return (&fsm.Result{Outcome: fsm.TooManyTokens}).Encode(), nil
		}
		return e.do("POST", "/v1/admin/tokens", "{}")
	},
	codeNoGossipKeys: func(e *edge) *reply {
		e.mustApply(&fsm.VersionRaise{RequestID: mintRequestID(), Version: fsm.MaxClusterVersion})
		return e.do("POST", "/v1/admin/gossip-keys/rotate", "")
	},
	codeGossipKeyRotating: func(e *edge) *reply {
		e.mustApply(&fsm.VersionRaise{RequestID: mintRequestID(), Version: fsm.MaxClusterVersion})
		e.mustApply(&fsm.GossipKeyAdd{RequestID: mintRequestID(), Key: [32]byte{1}, First: true})
		e.do("POST", "/v1/admin/gossip-keys/rotate", "").want(202, "")
		return e.do("POST", "/v1/admin/gossip-keys/rotate", "")
	},
	codeMemberNotFound: func(e *edge) *reply { return e.removeFailing(cluster.ErrUnknownMember) },
	codeQuorumAtRisk:   func(e *edge) *reply { return e.removeFailing(cluster.ErrQuorumAtRisk) },
	codeRouteNotFound:  func(e *edge) *reply { return e.do("GET", "/v1/pipeline/sync/", "") },
	codeMethodNotAllowed: func(e *edge) *reply {
		return e.do("GET", "/v1/pipeline/sync", "").wantHeader("Allow", "POST")
	},
	codeRequestTimeout: func(e *edge) *reply {
		r := httptest.NewRequest("POST", "/v1/pipeline/sync", iotest.ErrReader(os.ErrDeadlineExceeded))
		r.Header.Set("X-API-Key", e.key)
		return e.serve(r)
	},
	codeCursorExpired: func(e *edge) *reply {
		e.push(`{"action":"upsert","id":"1","namespace":"n"},{"action":"upsert","id":"2","namespace":"n"}`)
		var page struct {
			NextCursor string `json:"next_cursor"`
		}
		e.do("GET", "/v1/vector-stores/vs_main/namespaces/n/records?limit=1", "").want(200, "").decode(&page)
		e.sync(strings.Replace(goodSync, "incremental", "full_refresh", 1)).want(200, "")
		return e.do("GET", "/v1/vector-stores/vs_main/namespaces/n/records?limit=1&cursor="+page.NextCursor, "")
	},
	codePayloadTooLarge: func(e *edge) *reply { return e.sync(strings.Repeat(" ", 16<<20+1)) },
	codeUnsupportedMediaType: func(e *edge) *reply {
		return e.sync(goodSync, header{"Content-Type", "text/csv"})
	},
	codeRateLimitExceeded: func(e *edge) *reply {
		for range 5 {
			e.sync(goodSync).want(200, "")
		}
		return e.sync(goodSync)
	},
	codeInternal: func(e *edge) *reply { return e.proposing(errors.New("a disk on fire")) },
	codeNoLeader: func(e *edge) *reply { return e.proposing(cluster.ErrNoLeader) },
	codeDiskFull: func(e *edge) *reply {
		return e.proposing(fmt.Errorf("proposing: %w", cluster.ErrDiskFull))
	},
	codeOverloaded: func(e *edge) *reply {
		return e.proposing(fmt.Errorf("proposing: %w", cluster.ErrOverloaded))
	},
	codeOutcomeUnknown: func(e *edge) *reply { return e.proposing(cluster.ErrOutcomeUnknown) },
	codeNotJoined: func(e *edge) *reply {
		e.cluster.status = func() cluster.Status { return cluster.Status{NodeID: "node_1", Role: cluster.RoleUnjoined} }
		return e.sync(goodSync)
	},
	codeNotReady: func(e *edge) *reply {
		e.cluster.status = func() cluster.Status { return cluster.Status{NodeID: "node_1", ClusterID: "cluster_1"} }
		return e.do("GET", "/v1/vector-stores/vs_main/namespaces?consistency=stale", "")
	},
	codeLeaderTransferFailed: func(e *edge) *reply {
		e.cluster.transfer = func(context.Context, string) error { return errors.New("no answer") }
		return e.do("POST", "/v1/admin/leader/transfer", "")
	},
}

func (e *edge) proposing(err error) *reply {
	e.cluster.propose = func(context.Context, []byte) ([]byte, error) { return nil, err }
	return e.sync(goodSync)
}

func (e *edge) joinFailing(err error) *reply {
	e.cluster.join = func(context.Context, string, string, bool) error {
		return fmt.Errorf("joining through 10.0.0.1:8801: %w", err)
	}
	return e.do("POST", "/v1/admin/members/join", `{"peer":"10.0.0.1:8801","token":"t"}`)
}

func (e *edge) removeFailing(err error) *reply {
	e.cluster.remove = func(context.Context, string, bool) error {
		return fmt.Errorf("2 of 3 voters are reachable: %w", err)
	}
	return e.do("DELETE", "/v1/admin/members/node_9", "")
}

func TestEveryErrorIsProvoked(t *testing.T) {
	for _, row := range errorTable {
		t.Run(string(row.code), func(t *testing.T) {
			provoke, ok := provocations[row.code]
			if !ok {
				t.Fatal("nothing provokes this row")
			}
			r := provoke(newEdge(t, shortSyncs)).want(row.status, row.code)
			got := r.failure()
			unkeyed := row.code == codeOutcomeUnknown // the sync had no timestamp
			if got.Retryable != (row.retryable && !unkeyed) {
				t.Errorf("retryable is %v", got.Retryable)
			}
			if got.Message == "" || got.Details == nil || got.DetailsTotal < len(got.Details) {
				t.Errorf("incomplete: %s", r.body)
			}
			told := r.header.Get("Retry-After") != ""
			if told != (row.status == http.StatusTooManyRequests || row.status == http.StatusServiceUnavailable) {
				t.Errorf("Retry-After is %q", r.header.Get("Retry-After"))
			}
		})
	}
	for code := range provocations {
		if _, ok := errorRows[code]; !ok {
			t.Errorf("%s is provoked and not in the table", code)
		}
	}
}

func TestTablesAreComplete(t *testing.T) {
	if len(errorRows) != len(errorTable) {
		t.Error("a code stands twice in the table")
	}
	if !slices.IsSortedFunc(errorTable, func(a, b errorRow) int { return a.status - b.status }) {
		t.Error("the table is not in the order of statuses")
	}
	for outcome := fsm.OK + 1; outcome < 200; outcome++ {
		if _, err := fsm.DecodeResult((&fsm.Result{Outcome: outcome}).Encode()); err != nil {
			continue // the state machine has no such outcome
		}
		if outcome == fsm.Replayed {
			continue // is no refusal
		}
		if outcome == fsm.RotationRunning || outcome == fsm.RotationMismatch {
			continue // of what the leader alone proposes
		}
		if outcome == fsm.ContentsOmitted {
			continue // is proposed again, with all contents
		}
		if f := refusal(outcome); f.code == codeInternal {
			t.Errorf("outcome %d has no code", outcome)
		}
	}
	for _, row := range errorCodes {
		if f := asFailure(fmt.Errorf("wrapped: %w", row.sentinel)); f.code != row.code {
			t.Errorf("%v is told as %s, want %s", row.sentinel, f.code, row.code)
		}
	}
	if f := refusal(fsm.Outcome(200)); f.code != codeInternal {
		t.Errorf("an unknown outcome is told as %s", f.code)
	}
}
