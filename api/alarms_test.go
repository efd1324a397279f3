package api

import (
	"strings"
	"testing"
	"time"

	"pipesync/cluster"
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
