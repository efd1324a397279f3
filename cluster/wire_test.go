package cluster

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/prometheus/client_golang/prometheus"
)

func FuzzPreamble(f *testing.F) {
	for _, p := range []preamble{{kindRaft, "cluster-x", "n1"}, {kindHTTP, "", ""}} {
		b, err := p.encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte("PSYN\x02\x01\x00"))
	f.Add([]byte("GET / HTTP/1.1\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		p, status, err := readPreamble(r)
		if err != nil || status != statusOK {
			return
		}
		again, err := p.encode()
		if err != nil || !bytes.Equal(again, b[:len(b)-r.Len()]) {
			t.Errorf("%q became %q, %v", b, again, err)
		}
	})
}

func FuzzGossipMeta(f *testing.F) {
	f.Add(gossipMeta{"127.0.0.1:8801", "node.example:8800", "1.2.3"}.encode())
	f.Add(gossipMeta{}.encode())
	f.Add([]byte{1, 200})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := decodeGossipMeta(b)
		if err != nil {
			return
		}
		if again, err := decodeGossipMeta(m.encode()); err != nil || again != m {
			t.Errorf("%+v became %+v, %v", m, again, err)
		}
	})
}

func FuzzIndex(f *testing.F) {
	f.Add(encodeIndex(7))
	f.Fuzz(func(t *testing.T, b []byte) {
		if index, err := decodeIndex(b); err == nil && !bytes.Equal(encodeIndex(index), b) {
			t.Errorf("%x became %d", b, index)
		}
	})
}

// The bytes on the wire are what docs/FORMAT.md draws.
func TestGoldenBytes(t *testing.T) {
	p, err := preamble{kindRaft, "abc", "n1"}.encode()
	if err != nil || string(p) != "PSYN\x01\x01\x03abc\x02n1" {
		t.Errorf("preamble %q, %v", p, err)
	}
	if m := (gossipMeta{"p:1", "h:2", "v"}).encode(); string(m) != "\x01\x03p:1\x03h:2\x01v" {
		t.Errorf("gossip meta %q", m)
	}
	if b := encodeIndex(258); string(b) != "\x00\x00\x00\x00\x00\x00\x01\x02" {
		t.Errorf("index %q", b)
	}
	if long := (gossipMeta{Version: strings.Repeat("x", 300)}).NodeMeta(512); string(long) != "\x01\x00\x00\x00" {
		t.Errorf("an oversized field: %q", long)
	}
	dir := t.TempDir()
	id := identity{Format: 1, NodeID: "n1", ClusterID: "c", Founder: true, Nonvoter: true, Removed: true, Pending: pendingJoin}
	if err := id.save(dir); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(dir + "/identity.json")
	want := "{\n  \"format\": 1,\n  \"node_id\": \"n1\",\n  \"cluster_id\": \"c\",\n  \"founder\": true,\n  \"nonvoter\": true,\n  \"removed\": true,\n  \"pending\": \"join\"\n}\n"
	if err != nil || string(raw) != want {
		t.Errorf("identity.json: %s, %v", raw, err)
	}
}

// What a member answers to malformed hops never counts as applied.
func TestHopServerRefusesMalformed(t *testing.T) {
	t.Parallel()
	m := newMember(t, "solo")
	if err := m.Bootstrap(m.ctx()); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ method, path, term, timeout, body string }{
		{"GET", "/v1/propose", "2", "", ""},
		{"POST", "/v1/nothing", "2", "", ""},
		{"POST", "/v1/propose", "", "", "x"},
		{"POST", "/v1/propose", "-1", "", "x"},
		{"POST", "/v1/propose", "2", "soon", "x"},
		{"POST", "/v1/propose", "1", "", "x"},
		{"POST", "/v1/propose", "0", "", "x"},
		{"POST", "/v1/remove", "2", "", `{"node":"solo"}`},
		{"POST", "/v1/remove", "2", "", `{`},
	} {
		r := httptest.NewRequest(c.method, c.path, strings.NewReader(c.body))
		r.Header.Set(headerTerm, c.term)
		r.Header.Set(headerTimeout, c.timeout)
		w := httptest.NewRecorder()
		m.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), peerConnKey{}, &peerConn{clusterID: "c"})))
		if o := w.Header().Get(headerOutcome); o != string(outcomeNotApplied) {
			t.Errorf("%+v: %s %s", c, o, w.Body)
		}
	}
	if got := m.read(); len(got) != 0 {
		t.Errorf("entries: %q", got)
	}
}

func TestMetricFamilies(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	m := newMember(t, "solo", func(c *Config) { c.Registerer = reg })
	if err := m.Bootstrap(m.ctx()); err != nil {
		t.Fatal(err)
	}
	m.mustPropose("a")
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]bool{}
	for _, f := range families {
		have[f.GetName()] = true
		if f.GetName() == "pipesync_apply_duration_seconds" && f.GetMetric()[0].GetHistogram().GetSampleCount() == 0 {
			t.Error("no entry was counted as applied")
		}
	}
	for _, want := range []string{"raft_apply", "raft_commitTime", "raft_fsm_apply", "raft_state_leader", "raft_boltdb_free_pages", "raft_boltdb_writes_total",
		"pipesync_apply_duration_seconds", "pipesync_raft_term"} {
		if !have[want] {
			t.Errorf("no %s among %d families", want, len(have))
		}
	}
	m.stop()
	if families, err := reg.Gather(); err != nil || len(families) != 0 {
		t.Errorf("after the stop: %d families, %v", len(families), err)
	}
}

func TestLoggers(t *testing.T) {
	var out bytes.Buffer
	to := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelInfo, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	l := newRaftLogger(to).Named("x").With("peer", "n2")
	l.Debug("hidden")
	l.Trace("hidden")
	l.Warn("seen", "servers", hclog.Fmt("%d of %d", 1, 3))
	g := gossipLogger(to)
	g.Print("[DEBUG] memberlist: hidden")
	g.Print("[ERR] memberlist: seen too")
	want := `level=WARN msg=seen component=raft peer=n2 servers="1 of 3"
level=ERROR msg="memberlist: seen too" component=gossip
`
	if out.String() != want {
		t.Errorf("logged\n%s", out.String())
	}
	if l.IsDebug() || !l.IsInfo() || l.Name() != "raft.x" {
		t.Error("level or name")
	}
	_, _ = io.WriteString(l.StandardWriter(nil), "[WARN] x")
}
