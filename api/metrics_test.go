package api

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"pipesync/cluster"
)

// counted are the counters of a family that are not 0, by their only label.
func counted(t *testing.T, registry *prometheus.Registry, family string) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		if f.GetName() != family {
			continue
		}
		for _, m := range f.GetMetric() {
			if v := m.GetCounter().GetValue(); v != 0 {
				got[m.GetLabel()[0].GetValue()] = v
			}
		}
	}
	return got
}

func TestSyncsAreCountedByTheirOutcome(t *testing.T) {
	registry := prometheus.NewRegistry()
	e := newEdge(t, shortSyncs, func(d *Deps) { d.Registry = registry })
	e.sync(goodSync, header{"Idempotency-Key", "k"}).want(200, "")
	e.sync(goodSync, header{"Idempotency-Key", "k"}).want(200, "")
	e.sync(strings.Replace(goodSync, `"id":"1"`, `"id":"2"`, 1), header{"Idempotency-Key", "k"}).want(422, codeIdempotencyKeyReused)
	e.sync(`{}`).want(400, codeValidationFailed)
	e.do("POST", "/v1/pipeline/sync?dry_run=true", goodSync).want(200, "")
	for _, failed := range []error{cluster.ErrNoLeader, cluster.ErrOverloaded, cluster.ErrOutcomeUnknown} {
		e.cluster.propose = func(context.Context, []byte) ([]byte, error) { return nil, failed }
		e.sync(goodSync)
	}
	want := map[string]float64{"done": 1, "replayed": 1, "refused": 1, "rejected": 1, "not_applied": 2, "unknown": 1}
	if got := counted(t, registry, "pipesync_sync_outcomes_total"); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("outcomes are %v, want %v", got, want)
	}
	want = map[string]float64{"IDEMPOTENCY_KEY_REUSED": 1, "VALIDATION_FAILED": 1, "NO_LEADER": 1, "OVERLOADED": 1, "OUTCOME_UNKNOWN": 1}
	if got := counted(t, registry, "pipesync_http_errors_total"); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("errors are %v, want %v", got, want)
	}
	want = map[string]float64{"created": 1}
	if got := counted(t, registry, "pipesync_sync_records_total"); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("records are %v, want %v", got, want)
	}
}
