package api

import (
	"strings"
	"testing"
)

func TestTraceOfARequest(t *testing.T) {
	const id = "4bf92f3577b34da6a3ce929d0e0e4736"
	for _, c := range []struct{ name, traceparent, want string }{
		{"sampled", "00-" + id + "-00f067aa0ba902b7-01", id},
		{"not sampled", "00-" + id + "-00f067aa0ba902b7-00", id},
		{"a later version, with more", "01-" + id + "-00f067aa0ba902b7-01-more", id},
		{"none", "", ""},
		{"the version that never is", "ff-" + id + "-00f067aa0ba902b7-01", ""},
		{"more than its version has", "00-" + id + "-00f067aa0ba902b7-01-more", ""},
		{"capitals", "00-" + strings.ToUpper(id) + "-00f067aa0ba902b7-01", ""},
		{"no trace", "00-" + strings.Repeat("0", 32) + "-00f067aa0ba902b7-01", ""},
		{"no parent", "00-" + id + "-" + strings.Repeat("0", 16) + "-01", ""},
		{"too short", "00-" + id[1:] + "-00f067aa0ba902b7-01", ""},
		{"no flags", "00-" + id + "-00f067aa0ba902b7", ""},
		{"nonsense", "x", ""},
	} {
		e := newEdge(t)
		e.do("GET", "/v1/admin/status", "", header{"traceparent", c.traceparent}).want(200, "")
		has := strings.Contains(e.lines.String(), `"trace_id":"`)
		if has != (c.want != "") || has && !strings.Contains(e.lines.String(), `"trace_id":"`+c.want+`"`) {
			t.Errorf("%s: the log has %s", c.name, e.lines)
		}
	}
}
