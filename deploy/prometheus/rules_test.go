// Package prometheus tests the alerts and the dashboard by Prometheus's own parser
// and engine. It is a module of its own, so that these add nothing to the product.
package prometheus

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
)

// alertCase is what an alert sees, a sample a minute: in fires for all of its 'for',
// in quiet never. Nodes are a, b and c.
type alertCase struct {
	fires, quiet string
	at           time.Duration // 0: after 10 hours
}

const (
	defaultAt  = 10 * time.Hour
	maxSamples = 1_000_000
)

// each gives all three nodes the same series.
func each(family, labels, values string) string {
	return on("a", family, labels, values) + on("b", family, labels, values) + on("c", family, labels, values)
}

func on(node, family, labels, values string) string {
	return "  " + family + `{job="pipesync",instance="` + node + `"` + labels + "} " + values + "\n"
}

// slow and fast are histograms of requests of which most take more than 5 s, or
// less than 1 ms.
func slow(family, labels string) string {
	return each(family+"_bucket", labels+`,le="0.001"`, "0+1x600") + each(family+"_bucket", labels+`,le="5"`, "0+2x600") +
		each(family+"_bucket", labels+`,le="+Inf"`, "0+60x600")
}

func fast(family, labels string) string {
	return each(family+"_bucket", labels+`,le="0.001"`, "0+60x600") + each(family+"_bucket", labels+`,le="5"`, "0+60x600") +
		each(family+"_bucket", labels+`,le="+Inf"`, "0+60x600")
}

const sync = `,route="POST /v1/pipeline/sync"`

var alertCases = map[string]alertCase{
	"PipesyncNodeDown": {fires: on("a", "up", "", "0x600") + on("b", "up", "", "1x600"), quiet: each("up", "", "1x600")},
	"PipesyncNoLeader": {fires: each("pipesync_raft_leader_known", "", "0x600"),
		quiet: on("a", "pipesync_raft_leader_known", "", "0x600") + on("b", "pipesync_raft_leader_known", "", "1x600")},
	"PipesyncNodeCutOff": {fires: on("a", "pipesync_raft_leader_known", "", "0x600") + on("b", "pipesync_raft_leader_known", "", "1x600"),
		quiet: each("pipesync_raft_leader_known", "", "0x600")},
	"PipesyncNodeUnready": {fires: on("a", "pipesync_ready", "", "0x600"), quiet: each("pipesync_ready", "", "1x600")},
	"PipesyncMemberSilent": {fires: each("pipesync_members", `,state="silent"`, "1x600"),
		quiet: each("pipesync_members", `,state="silent"`, "0x600") + each("pipesync_members", `,state="alive"`, "3x600")},
	"PipesyncNoFailureTolerated": {
		fires: each("pipesync_members", `,state="silent"`, "1x600") + each("pipesync_raft_failures_tolerated", "", "1x600"),
		quiet: each("pipesync_members", `,state="silent"`, "1x600") + each("pipesync_raft_failures_tolerated", "", "2x600")},
	"PipesyncLeaderUnstable": {fires: each("pipesync_raft_term", "", "1+1x600"), quiet: each("pipesync_raft_term", "", "7x600")},
	"PipesyncCrashLoop":      {fires: on("a", "process_start_time_seconds", "", "0+60x600"), quiet: each("process_start_time_seconds", "", "5x600")},
	"PipesyncVersionsDiffer": {
		fires: on("a", "pipesync_build_info", `,version="1"`, "1x600") + on("b", "pipesync_build_info", `,version="2"`, "1x600"),
		quiet: each("pipesync_build_info", `,version="1"`, "1x600")},

	"PipesyncStateDiverged": {fires: on("a", "pipesync_alarm", `,code="STATE_DIVERGED"`, "1x600"),
		quiet: each("pipesync_alarm", `,code="STATE_DIVERGED"`, "0x600") + each("pipesync_alarm", `,code="DISK_FULL"`, "1x600")},
	"PipesyncScrubOverdue": {at: 100 * time.Hour, fires: each("pipesync_scrub_finished_timestamp_seconds", "", "60x6000"),
		quiet: on("a", "pipesync_scrub_finished_timestamp_seconds", "", "0x6000") + on("b", "pipesync_scrub_finished_timestamp_seconds", "", "300000x6000")},
	"PipesyncFollowerLags": {
		fires: each("pipesync_raft_commit_index", "", "30000x600") + on("a", "pipesync_raft_applied_index", "", "100x600"),
		quiet: each("pipesync_raft_commit_index", "", "30000x600") + each("pipesync_raft_applied_index", "", "29990x600")},
	"PipesyncSnapshotsFail": {fires: on("a", "pipesync_snapshots_total", `,result="failed"`, "0+1x600"),
		quiet: each("pipesync_snapshots_total", `,result="failed"`, "3x600") + each("pipesync_snapshots_total", `,result="taken"`, "0+1x600")},
	"PipesyncSnapshotOverdue": {fires: on("a", "pipesync_snapshot_due_bytes", "", "2000000000x600"), quiet: each("pipesync_snapshot_due_bytes", "", "268435456x600")},

	"PipesyncDiskFull":   {fires: on("a", "pipesync_alarm", `,code="DISK_FULL"`, "1x600"), quiet: each("pipesync_alarm", `,code="DISK_FULL"`, "0x600")},
	"PipesyncAuditFails": {fires: on("a", "pipesync_alarm", `,code="AUDIT_FAILING"`, "1x600"), quiet: each("pipesync_alarm", `,code="AUDIT_FAILING"`, "0x600")},
	"PipesyncDiskSpaceLow": {fires: each("pipesync_disk_free_bytes", "", "200x600") + each("pipesync_disk_min_free_bytes", "", "100x600"),
		quiet: each("pipesync_disk_free_bytes", "", "300x600") + each("pipesync_disk_min_free_bytes", "", "100x600")},
	"PipesyncDiskFillsUp": {fires: each("pipesync_disk_free_bytes", "", "2000-1x600") + each("pipesync_disk_min_free_bytes", "", "100x600"),
		quiet: each("pipesync_disk_free_bytes", "", "9000-1x600") + each("pipesync_disk_min_free_bytes", "", "100x600")},
	"PipesyncDiskSlow":    {fires: on("a", "pipesync_storage_slow_disk_total", "", "0+1x600"), quiet: each("pipesync_storage_slow_disk_total", "", "4x600")},
	"PipesyncWritesStall": {fires: on("a", "pipesync_storage_write_stalls_total", "", "0+3x600"), quiet: each("pipesync_storage_write_stalls_total", "", "99x600")},
	"PipesyncClockSkewed": {fires: on("a", "pipesync_alarm", `,code="CLOCK_SKEW"`, "1x600"), quiet: each("pipesync_alarm", `,code="CLOCK_SKEW"`, "0x600")},
	"PipesyncClockOffset": {fires: on("a", "pipesync_clock_offset_seconds", "", "-7x600"), quiet: each("pipesync_clock_offset_seconds", "", "0.2x600")},
	"PipesyncCertificate": {fires: on("a", "pipesync_alarm", `,code="CERTIFICATE_EXPIRING"`, "1x600"), quiet: each("pipesync_alarm", `,code="CERTIFICATE_EXPIRING"`, "0x600")},
	"PipesyncFileDescriptors": {fires: each("process_open_fds", "", "900x600") + each("process_max_fds", "", "1000x600"),
		quiet: each("process_open_fds", "", "100x600") + each("process_max_fds", "", "1000x600")},

	"PipesyncSyncsSlow": {fires: slow("pipesync_http_request_duration_seconds", sync),
		quiet: fast("pipesync_http_request_duration_seconds", sync) + slow("pipesync_http_request_duration_seconds", `,route="POST /v1/admin/members"`)},
	"PipesyncApplySlow":  {fires: slow("pipesync_apply_duration_seconds", ""), quiet: fast("pipesync_apply_duration_seconds", "")},
	"PipesyncQueuesLong": {fires: slow("pipesync_queue_wait_duration_seconds", `,queue="memory"`), quiet: fast("pipesync_queue_wait_duration_seconds", `,queue="memory"`)},
	"PipesyncRequestsFail": {fires: each("pipesync_http_errors_total", `,code="NO_LEADER"`, "0+30x600"),
		quiet: each("pipesync_http_errors_total", `,code="RATE_LIMIT_EXCEEDED"`, "0+600x600") + each("pipesync_http_errors_total", `,code="NO_LEADER"`, "9x600")},
	"PipesyncInternalErrors": {fires: on("a", "pipesync_http_errors_total", `,code="INTERNAL"`, "0x595 1 1 1 1 1"), quiet: each("pipesync_http_errors_total", `,code="INTERNAL"`, "2x600")},
	"PipesyncBodiesFillMemory": {fires: each("pipesync_http_held_body_bytes", "", "90x600") + each("pipesync_http_held_body_max_bytes", "", "100x600"),
		quiet: each("pipesync_http_held_body_bytes", "", "10x600") + each("pipesync_http_held_body_max_bytes", "", "100x600")},
}

func TestAlerts(t *testing.T) {
	text, err := os.ReadFile("rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	groups, errs := rulefmt.Parse(text, false, model.LegacyValidation, parser.NewParser(parser.Options{}), slog.Default())
	for _, err := range errs {
		t.Error(err)
	}
	if t.Failed() {
		return
	}
	seen := map[string]bool{}
	for _, group := range groups.Groups {
		for _, rule := range group.Rules {
			if seen[rule.Alert] {
				t.Errorf("there are two alerts %s", rule.Alert)
			}
			seen[rule.Alert] = true
			c, ok := alertCases[rule.Alert]
			if !ok {
				t.Errorf("no case makes %s fire", rule.Alert)
				continue
			}
			t.Run(rule.Alert, func(t *testing.T) { c.check(t, rule) })
		}
	}
	for name := range alertCases {
		if !seen[name] {
			t.Errorf("there is no alert %s", name)
		}
	}
}

func (c alertCase) check(t *testing.T, rule rulefmt.Rule) {
	at := c.at
	if at == 0 {
		at = defaultAt
	}
	for _, when := range []time.Duration{at - time.Duration(rule.For), at} {
		if !holds(t, rule.Expr, c.fires, when) {
			t.Errorf("after %s it doesn't fire", when)
		}
		if holds(t, rule.Expr, c.quiet, when) {
			t.Errorf("after %s it fires where nothing is wrong", when)
		}
	}
	if severity := rule.Labels["severity"]; severity != "critical" && severity != "warning" {
		t.Errorf("its severity is %q", severity)
	}
	if rule.Annotations["summary"] == "" || rule.Annotations["description"] == "" {
		t.Error("it doesn't say what is wrong and what to do")
	}
}

// holds says whether expr has a value then.
func holds(t *testing.T, expr, series string, when time.Duration) bool {
	t.Helper()
	storage := promqltest.LoadedStorage(t, "load 1m\n"+series)
	defer func() { _ = storage.Close() }()
	engine := promqltest.NewTestEngine(t, false, 5*time.Minute, maxSamples)
	query, err := engine.NewInstantQuery(context.Background(), storage, nil, expr, time.Unix(0, 0).Add(when))
	if err != nil {
		t.Fatal(err)
	}
	defer query.Close()
	result := query.Exec(context.Background())
	vector, err := result.Vector()
	if err != nil {
		t.Fatal(err)
	}
	return len(vector) > 0
}

// TestDashboard wants every query of the dashboard to parse.
func TestDashboard(t *testing.T) {
	text, err := os.ReadFile("../grafana/dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			ID      int
			Title   string
			Type    string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	filled := strings.NewReplacer("$__rate_interval", "5m", "$job", "pipesync", "$instance", ".*")
	ids := map[int]bool{}
	for _, p := range dashboard.Panels {
		if ids[p.ID] || p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("panel %d, %s, has no query, or its id is another's too", p.ID, p.Title)
		}
		ids[p.ID] = true
		for _, target := range p.Targets {
			if _, err := parser.NewParser(parser.Options{}).ParseExpr(filled.Replace(target.Expr)); err != nil {
				t.Errorf("panel %s: %v", p.Title, err)
			}
		}
	}
	if len(ids) < 20 {
		t.Errorf("it has only %d panels", len(ids))
	}
}
