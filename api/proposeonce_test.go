package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pipesync/cluster"
	"pipesync/fsm"
)

// lossy makes a cluster that answers each proposal by the next of the steps, which
// get the log to apply the body to, and then as a healthy one.
func lossy(e *edge, steps ...func(body []byte) ([]byte, error)) *[][]byte {
	var proposed [][]byte
	e.cluster.propose = func(_ context.Context, body []byte) ([]byte, error) {
		proposed = append(proposed, bytes.Clone(body))
		if n := len(proposed); n <= len(steps) {
			return steps[n-1](body)
		}
		return e.log.apply(body)
	}
	return &proposed
}

func lost([]byte) ([]byte, error) { return nil, fmt.Errorf("lost: %w", cluster.ErrOutcomeUnknown) }

// TestUnknownOutcomeIsProposedAgain whether or not the first proposal was applied:
// the same bytes, and one application of which the client learns.
func TestUnknownOutcomeIsProposedAgain(t *testing.T) {
	for name, applied := range map[string]bool{"applied": true, "not applied": false} {
		t.Run(name, func(t *testing.T) {
			e := newEdge(t)
			proposed := lossy(e, func(body []byte) ([]byte, error) {
				if applied {
					if _, err := e.log.apply(body); err != nil {
						return nil, err
					}
				}
				return lost(body)
			}, lost)
			var out struct {
				Index uint64 `json:"index"`
			}
			e.sync(goodSync).want(200, "").wantHeader("X-RateLimit-Remaining", "4").
				wantHeader("Idempotent-Replayed", "").decode(&out)
			if out.Index != 3 {
				t.Errorf("index %d, want that of the first application", out.Index)
			}
			if p := *proposed; len(p) != 3 || !bytes.Equal(p[0], p[1]) || !bytes.Equal(p[0], p[2]) {
				t.Errorf("%d proposals, or their bytes differ", len(p))
			}
			e.sync(goodSync).want(200, "").wantHeader("X-RateLimit-Remaining", "3")
		})
	}
}

// TestDelayedProposal arrives in the log behind the one that was sent after it.
func TestDelayedProposal(t *testing.T) {
	e := newEdge(t)
	var delayed []byte
	lossy(e, func(body []byte) ([]byte, error) {
		delayed = body
		return lost(body)
	})
	e.sync(goodSync).want(200, "").wantHeader("X-RateLimit-Remaining", "4")
	e.sync(`{"organization_id":"org_acme","sync_mode":"incremental","operations":[{"action":"delete","id":"1","namespace":"n"}]}`).
		want(200, "").wantHeader("X-RateLimit-Remaining", "3")
	if _, err := e.log.apply(delayed); err != nil {
		t.Fatal(err)
	}
	e.do("GET", "/v1/vector-stores/vs_main/namespaces/n/records/1", "").want(404, codeRecordNotFound)
	e.sync(`{`).want(400, codeMalformedJSON).wantHeader("X-RateLimit-Remaining", "3")
}

// TestUncertainRefusals: behind an unknown outcome nothing but an application is
// certain, and what isn't is never told as not applied.
func TestUncertainRefusals(t *testing.T) {
	refuse := func(o fsm.Outcome) func([]byte) ([]byte, error) {
		return func([]byte) ([]byte, error) {
			return (&fsm.Result{Outcome: o, Sync: &fsm.SyncResult{}}).Encode(), nil
		}
	}
	failing := func(err error) func([]byte) ([]byte, error) {
		return func([]byte) ([]byte, error) { return nil, err }
	}
	for name, steps := range map[string][]func([]byte) ([]byte, error){
		"refused":          {lost, refuse(fsm.RateLimited)},
		"refused for good": {lost, lost, refuse(fsm.KeyRevoked)},
		"no leader":        {lost, failing(cluster.ErrNoLeader)},
		"stopping":         {lost, failing(cluster.ErrStopped)},
		"busy, refused":    {lost, failing(cluster.ErrOverloaded), refuse(fsm.StaleSync)},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEdge(t)
			proposed := lossy(e, steps...)
			e.sync(goodSync).want(503, codeOutcomeUnknown)
			if len(*proposed) != len(steps) {
				t.Errorf("%d proposals, want %d", len(*proposed), len(steps))
			}
		})
	}
	e := newEdge(t)
	proposed := lossy(e, failing(cluster.ErrNoLeader), failing(errors.New("not here")))
	e.sync(goodSync).want(503, codeNoLeader)
	if len(*proposed) != 1 {
		t.Error("what was certainly not applied was proposed again here")
	}
}

func TestUnknownUntilTheDeadline(t *testing.T) {
	e := newEdge(t, shortSyncs)
	e.cluster.propose = func(context.Context, []byte) ([]byte, error) { return lost(nil) }
	e.sync(goodSync).want(503, codeOutcomeUnknown)
}

// pushOf is a sync of records that have some hundred bytes of their version.
func pushOf(version string) string {
	var ops []string
	for i := range 20 {
		ops = append(ops, fmt.Sprintf(`{"action":"upsert","id":"%d","namespace":"n","data":{"v":"%s"}}`, i, strings.Repeat(version, 200)))
	}
	return `{"organization_id":"org_acme","sync_mode":"incremental","operations":[` + strings.Join(ops, ",") + `]}`
}

// TestOmittedContents: what is pushed again is proposed without its contents, and with them
// where the state has moved on meanwhile; the client notices nothing of it.
func TestOmittedContents(t *testing.T) {
	type step = func([]byte) ([]byte, error)
	for name, tc := range map[string]struct {
		pushed  string
		steps   func(overtaken step) []step
		updated int
		want    []bool // of each proposal: it omits contents
	}{
		"other contents":       {"b", func(step) []step { return nil }, 20, []bool{false}},
		"the same":             {"a", func(step) []step { return nil }, 0, []bool{true}},
		"the same, twice":      {"a", func(step) []step { return []step{lost} }, 0, []bool{true, true}},
		"overtaken":            {"a", func(o step) []step { return []step{o} }, 1, []bool{true, false}},
		"lost, then overtaken": {"a", func(o step) []step { return []step{lost, o, lost} }, 1, []bool{true, true, false, false}},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEdge(t)
			e.sync(pushOf("a")).want(200, "")
			proposed := lossy(e, tc.steps(func(body []byte) ([]byte, error) {
				goOn := e.cluster.propose
				e.cluster.propose = nil
				e.push(`{"action":"upsert","id":"7","namespace":"n","data":{"v":"new"}}`)
				e.cluster.propose = goOn
				return e.log.apply(body)
			})...)
			var reply struct {
				Details struct {
					Updated   int `json:"updated"`
					Unchanged int `json:"unchanged"`
				} `json:"details"`
			}
			e.sync(pushOf(tc.pushed)).want(200, "").decode(&reply)
			if d := reply.Details; d.Updated != tc.updated || d.Unchanged != 20-tc.updated {
				t.Errorf("%+v", reply)
			}
			var got []bool
			for _, body := range *proposed {
				h, err := fsm.DecodeHeader(body)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, h.OmittedBytes > 0)
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("proposals omit contents: %v, want %v", got, tc.want)
			}
			var record struct {
				Data struct {
					V string `json:"v"`
				} `json:"data"`
			}
			e.do("GET", "/v1/vector-stores/vs_main/namespaces/n/records/7", "").want(200, "").decode(&record)
			if record.Data.V != strings.Repeat(tc.pushed, 200) {
				t.Errorf("record %+v", record)
			}
		})
	}
}
