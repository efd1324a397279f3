package main

import (
	"net/http"
	"strings"
	"testing"
)

func TestDebugPort(t *testing.T) {
	t.Parallel()
	node := serveNode(t, t.TempDir(), mintGossipKey(), "--debug-addr", "127.0.0.1:0")
	if node.Debug == "" {
		t.Fatal("it doesn't say where its debug port is")
	}
	heap := get(t, node.Debug+"/debug/pprof/heap")
	if !strings.HasPrefix(heap, "\x1f\x8b") { // a profile is compressed
		t.Errorf("the heap's profile begins with %q", heap[:min(len(heap), 40)])
	}
	if list := get(t, node.Debug+"/debug/pprof/goroutine?debug=1"); !strings.Contains(list, "serveDebug") {
		t.Errorf("the goroutines are %s", list)
	}
	if waits := get(t, node.Debug+"/debug/pprof/block?debug=1"); !strings.Contains(waits, " @ 0x") {
		t.Errorf("nothing has waited: %s", waits)
	}
	if locks := get(t, node.Debug+"/debug/pprof/mutex?debug=1"); !strings.Contains(locks, "sampling period=100\n") {
		t.Errorf("locks are not sampled: %s", locks)
	}
	// The HTTP port has none of it.
	if body := get(t, node.HTTP+"/debug/pprof/heap"); !strings.Contains(body, "ROUTE_NOT_FOUND") {
		t.Errorf("the HTTP port says %s", body)
	}
	http.DefaultClient.CloseIdleConnections()
	node.terminate()

	if quiet := serveNode(t, t.TempDir(), mintGossipKey()); quiet.Debug != "" {
		t.Errorf("without being told to, a node has a debug port: %s", quiet.Debug)
	}
}

func TestDebugPortIsThisMachinesAlone(t *testing.T) {
	for addr, want := range map[string]string{
		"0.0.0.0:8803": "beyond loopback", ":8803": "beyond loopback", "10.0.0.7:8803": "beyond loopback", "[::]:8803": "beyond loopback",
		"example.org:8803": "beyond loopback", "127.0.0.1": "HOST:PORT",
		"": "", "127.0.0.1:8803": "", "[::1]:8803": "", "localhost:8803": "",
	} {
		c := defaultConfig()
		c.Debug.Addr = addr
		c.Insecure, c.InsecureHTTP = true, true // changes nothing
		err := c.validate()
		if (err != nil) != (want != "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", addr, err)
		}
	}
}
