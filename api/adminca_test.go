package api

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"pipesync/cluster"
)

func TestRotateCA(t *testing.T) {
	e := newEdge(t)
	ca := strings.Repeat("5c", 32)
	e.cluster.rotateCA = func(context.Context) (string, error) { return ca, nil }
	e.do("POST", "/v1/admin/ca/rotate", "").want(202, "").wantBody(`{"ca_sha256":"` + ca + `"}`)
	begun := time.Unix(1_700_000_000, 0)
	e.cluster.rotation = &cluster.RotationStatus{
		Phase: cluster.RotationIssue, CA: ca, BegunAt: begun, PhaseAt: begun.Add(2 * time.Second),
		Awaiting: []cluster.AwaitedMember{{ID: "node_2", Why: "it does not answer"}},
	}
	want := `"ca_rotation":{"phase":"issue","ca_sha256":"` + ca + `","begun_at":"2023-11-14T22:13:20Z","phase_at":"2023-11-14T22:13:22Z",` +
		`"waiting_for":[{"node_id":"node_2","reason":"it does not answer"}]}`
	if got := e.do("GET", "/v1/admin/status", "").want(200, "").body; !strings.Contains(got, want) {
		t.Errorf("status %s, want %s in it", got, want)
	}
	for err, code := range map[error]Code{
		cluster.ErrClusterTooOld: codeClusterTooOld, cluster.ErrNoLeader: codeNoLeader, cluster.ErrOutcomeUnknown: codeOutcomeUnknown,
	} {
		e.cluster.rotateCA = func(context.Context) (string, error) { return "", fmt.Errorf("asking: %w", err) }
		e.do("POST", "/v1/admin/ca/rotate", "").want(errorRows[code].status, code)
	}
}
