package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"pipesync/client"
)

// httpsFiles are of the CA that dir has a node's share of.
type httpsFiles struct{ server, admin madeHTTPCert }

func makeHTTPSFiles(t *testing.T, caDir, dir string) (f httpsFiles) {
	t.Helper()
	mustCommand(t, nil, &f.server, "certs", "http", "--ca", caDir, "--host", "127.0.0.1", "--host", "localhost", "--out", filepath.Join(dir, "http"))
	mustCommand(t, nil, &f.admin, "certs", "client", "--ca", caDir, "--name", "alice", "--out", filepath.Join(dir, "alice"))
	return f
}

func (f *httpsFiles) serveFlags() []string {
	return []string{"--http-tls-cert-file", f.server.CertFile, "--http-tls-key-file", f.server.KeyFile, "--http-client-ca-file", f.server.CAFile}
}

func TestServeOverTLS(t *testing.T) {
	t.Parallel()
	dir, gossipKey := t.TempDir(), mintGossipKey()
	ca := filepath.Join(dir, "ca")
	mustCommand(t, nil, nil, "certs", "ca", "--out", ca)
	files := makeHTTPSFiles(t, ca, dir)
	certify(t, ca, "n1", filepath.Join(dir, "n1"))
	n1 := serveNode(t, filepath.Join(dir, "n1"), gossipKey, append(files.serveFlags(), "--bootstrap", "--node-id", "n1",
		// Beyond loopback without another word: nobody else reads what is sent.
		"--http-addr", "0.0.0.0:0", "--http-advertise", "127.0.0.1:0")...)
	port := n1.HTTP[strings.LastIndexByte(n1.HTTP, ':')+1:]
	if !strings.HasPrefix(n1.HTTP, "https://") {
		t.Fatalf("it says %s", n1.HTTP)
	}
	n1.HTTP = "https://127.0.0.1:" + port
	withToken := n1.admin()
	withToken["PIPESYNC_CA"] = files.server.CAFile
	var status client.Status
	mustCommand(t, withToken, &status, "status", "--wait", "ready", "--timeout", "60s")
	if c := status.HTTPCertificate; status.Insecure || c == nil || !c.NotAfter.Equal(files.server.NotAfter) || len(c.TrustedCAs) != 1 {
		t.Errorf("status is %+v", status)
	}
	if http := status.Leader.HTTP; http != n1.HTTP {
		t.Errorf("others are told %s", http)
	}

	// A certificate does what the token does, without a scheme and without a token.
	byCert := map[string]string{"PIPESYNC_HTTP_ADDR": "localhost:" + port, "PIPESYNC_CERT": files.admin.CertFile, "PIPESYNC_KEY": files.admin.KeyFile}
	var key client.NewKey
	mustCommand(t, byCert, &key, "keys", "create", "--org", "org_a", "--vector-store", "vs_a", "--ca", files.server.CAFile)
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--addr", n1.HTTP}, "next: name the file with the CA of the node's certificate by --ca"},
		{[]string{"--addr", "http://127.0.0.1:" + port}, "Client sent an HTTP request to an HTTPS server"},
		{[]string{"--ca", files.server.KeyFile}, "there is no certificate in"},
		{[]string{"--ca", files.server.CAFile, "--cert", files.server.CertFile, "--key", files.server.KeyFile}, "INVALID_ADMIN_CERTIFICATE"},
		{[]string{"--cert", files.admin.CertFile, "--key", ""}, "--cert and --key belong together"},
	} {
		env := map[string]string{"PIPESYNC_ADMIN_TOKEN": "", "PIPESYNC_HTTP_ADDR": "127.0.0.1:" + port}
		if len(c.args) == 2 {
			env["PIPESYNC_ADMIN_TOKEN"] = "a-token-that-is-wrong"
		}
		n1.await(fmt.Sprintf("members %v to say %q", c.args, c.want), func() bool { // a busy machine may time out
			code, _, stderr := command(t, env, append([]string{"members"}, c.args...)...)
			return code != exitOK && strings.Contains(stderr, c.want)
		})
	}
	syncsOverHTTP2(t, n1.HTTP, key.Key, files.server.CAFile)
}

// syncsOverHTTP2 is what clients do that speak it, which is all that do if TLS is there.
func syncsOverHTTP2(t *testing.T, addr, key, caFile string) {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(mustRead(t, caFile))
	transport := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: roots}}
	defer transport.CloseIdleConnections()
	body := `{"organization_id":"org_a","sync_mode":"incremental","operations":[{"action":"upsert","id":"1","namespace":"docs","data":{}}]}`
	r, err := http.NewRequest("POST", addr+"/v1/pipeline/sync", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-API-Key", key)
	r.Header.Set("Content-Type", "application/json")
	reply, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	if reply.StatusCode != http.StatusOK || reply.ProtoMajor != 2 {
		t.Errorf("%s over %s", reply.Status, reply.Proto)
	}
}

// hangups tells of the signal itself, which ends the process else.
func TestSIGHUPIsHeard(t *testing.T) {
	t.Parallel()
	c, stop := hangups()
	defer stop()
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	select {
	case <-c:
	case <-time.After(maxTestWait):
		t.Error("nobody hears of it")
	}
}

func TestSIGHUPReloads(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ca, config := filepath.Join(dir, "ca"), filepath.Join(dir, "node.yaml")
	mustCommand(t, nil, nil, "certs", "ca", "--out", ca)
	files := makeHTTPSFiles(t, ca, dir)
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("log: {level: error}\n")
	n := &testServer{dir: filepath.Join(dir, "n1"), env: map[string]string{
		"PIPESYNC_DATA_DIR": filepath.Join(dir, "n1"), "PIPESYNC_GOSSIP_KEY": mintGossipKey(), "PIPESYNC_CONFIG": config,
	}}
	hangups := make(chan os.Signal)
	n.running = launchWith(t, process{hangups: func() (<-chan os.Signal, func()) { return hangups, func() {} }}, n.env,
		append([]string{"serve", "-o", "json", "--http-addr", "127.0.0.1:0", "--peer-addr", "127.0.0.1:0", "--gossip-addr", "127.0.0.1:0"}, files.serveFlags()...)...)
	n.firstLine(&n.boundPorts)
	hangUp := func(want ...string) {
		t.Helper()
		hangups <- syscall.SIGHUP
		for _, text := range want {
			n.awaitLog(text)
		}
	}
	var renewed madeHTTPCert
	mustCommand(t, nil, &renewed, "certs", "http", "--ca", ca, "--host", "127.0.0.1", "--lifetime", "30d", "--out", filepath.Dir(files.server.CertFile))
	write("log: {level: info}\ndisk: {min_free_bytes: 1}\n")
	hangUp("settings=[disk.min_free_bytes]", "msg=reloaded log_level=info")
	env := n.admin()
	env["PIPESYNC_CA"] = files.server.CAFile
	_, stdout, stderr := command(t, env, "status", "-o", "json")
	var status client.Status
	if err := json.Unmarshal([]byte(stdout), &status); err != nil || !status.HTTPCertificate.NotAfter.Equal(renewed.NotAfter) {
		t.Errorf("%v, %s, %s", err, stdout, stderr)
	}
	write("log: {level: loud}\n")
	hangUp("nothing of it is in force", `log.level is \"loud\"`)
}
