package main

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pipesync/client"
	"pipesync/internal/testcluster"
)

func TestServeComesBackWithItsData(t *testing.T) {
	t.Parallel()
	dir, gossipKey := filepath.Join(t.TempDir(), "data"), mintGossipKey()
	s := serveNode(t, dir, gossipKey, "--bootstrap", "--node-id", "n1")
	status := s.awaitReady()
	if s.NodeID != "n1" || status.NodeID != "n1" || status.Role != "leader" || status.ClusterID == "" || status.Voters != 1 {
		t.Errorf("status is %+v", status)
	}
	var key client.NewKey
	mustCommand(t, s.admin(), &key, "keys", "create", "--org", "org_a", "--vector-store", "vs_a")
	push(t, s.HTTP, key.Key, "org_a", "docs", "1")

	code, _, stderr := command(t, s.env, "serve")
	if code != exitLocal || !strings.Contains(stderr, "uses "+dir+" already") {
		t.Errorf("a second process: %d, %s", code, stderr)
	}
	s.terminate()

	again := serveNode(t, dir, gossipKey, "--bootstrap", "--node-id", "n1")
	if got := again.awaitReady(); got.ClusterID != status.ClusterID {
		t.Errorf("cluster is %s, was %s", got.ClusterID, status.ClusterID)
	}
	wantRecord(t, again.HTTP, key.Key, "vs_a", "docs", "1")
	mustCommand(t, again.admin(), nil, "keys", "revoke", key.KeyID)
	again.terminate()
}

func TestJoinAndLeave(t *testing.T) {
	t.Parallel()
	dir, gossipKey := t.TempDir(), mintGossipKey()
	n1 := serveNode(t, filepath.Join(dir, "n1"), gossipKey, "--bootstrap", "--node-id", "n1")
	n1.awaitReady()
	var key client.NewKey
	mustCommand(t, n1.admin(), &key, "keys", "create", "--org", "org_a", "--vector-store", "vs_a")

	n2 := n1.joinedBy("n2")
	if status := n2.awaitReady(); status.Insecure || status.Certificate == nil || len(status.Certificate.TrustedCAs) != 1 {
		t.Errorf("status is %+v", status)
	}
	n3 := serveNode(t, filepath.Join(dir, "n3"), gossipKey, "--node-id", "n3")
	code, _, stderr := command(t, n3.admin(), "status")
	if code != exitDegraded || !strings.Contains(stderr, "belongs to no cluster") {
		t.Errorf("status before joining: %d, %s", code, stderr)
	}
	code, _, stderr = command(t, n3.admin(), "join", n1.Peer, "--token-file", n1.adminTokenFile())
	if code != exitRemote || !strings.Contains(stderr, "NO_CERTIFICATE") || !strings.Contains(stderr, "next: make one where the cluster's CA is: pipesync certs node") {
		t.Errorf("joining without a certificate: %d, %s", code, stderr)
	}
	// A token of the cluster gets it one, and its voters the CA.
	var token client.NewToken
	mustCommand(t, n2.admin(), &token, "tokens", "create", "--lifetime", "10m")
	parts := strings.Split(token.Token, ".")
	code, _, stderr = command(t, n3.admin(), "join", n1.Peer, "--token", parts[0]+".guessed."+parts[2])
	if code != exitRemote || !strings.Contains(stderr, "JOIN_REFUSED") {
		t.Errorf("joining with a wrong token: %d, %s", code, stderr)
	}
	var joined client.Joined
	mustCommand(t, n3.admin(), &joined, "join", n2.Peer, "--token", token.Token)
	certify(t, n3.certsDir(), "n9", t.TempDir())
	// It is used up, whichever node is asked, and told so.
	n4 := serveNode(t, filepath.Join(dir, "n4"), gossipKey, "--node-id", "n4")
	for _, member := range []*testServer{n1, n2, n3} {
		code, _, stderr = command(t, n4.admin(), "join", member.Peer, "--token", token.Token)
		if code != exitRemote || !strings.Contains(stderr, "JOIN_REFUSED") || !strings.Contains(stderr, "next: make a token at a member of the cluster") {
			t.Errorf("a used token at %s: %d, %s", member.NodeID, code, stderr)
		}
	}
	var tokens client.TokenPage
	mustCommand(t, n1.admin(), &tokens, "tokens", "list")
	if len(tokens.Tokens) != 1 || deref(tokens.Tokens[0].UsedBy) != "n3" {
		t.Errorf("tokens are %+v", tokens)
	}
	if joined.NodeID != "n3" || !joined.Voter {
		t.Errorf("joined is %+v", joined)
	}
	for _, s := range []*testServer{n1, n2, n3} {
		push(t, s.HTTP, key.Key, "org_a", "docs", s.NodeID)
	}
	for _, s := range []*testServer{n1, n2, n3} {
		for _, id := range []string{"n1", "n2", "n3"} {
			wantRecord(t, s.HTTP, key.Key, "vs_a", "docs", id)
		}
	}
	mustCommand(t, n2.admin(), nil, "leader", "transfer", "n3")

	// The leader itself leaves, and its process ends in order.
	mustCommand(t, n3.admin(), nil, "leave")
	if code := n3.exitCode(); code != exitOK {
		t.Errorf("exit code of the node that left is %d", code)
	}
	code, _, stderr = command(t, n3.env, "serve")
	if code != exitLocal || !strings.Contains(stderr, "removed") {
		t.Errorf("starting it again: %d, %s", code, stderr)
	}
	var members client.Members
	mustCommand(t, n1.admin(), &members, "members")
	if len(members.Members) != 2 {
		t.Errorf("members are %+v", members)
	}
	push(t, n2.HTTP, key.Key, "org_a", "docs", "after")
	wantRecord(t, n1.HTTP, key.Key, "vs_a", "docs", "after")
}

func TestStatusTellsThatTheHTTPPortIsOpen(t *testing.T) {
	t.Parallel()
	node := serveNode(t, t.TempDir(), mintGossipKey(), "--http-addr", "0.0.0.0:0", "--http-advertise", "127.0.0.1:0", "--insecure-http")
	_, port, err := net.SplitHostPort(strings.TrimPrefix(node.HTTP, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	// It has joined nothing, which is exit code 3.
	code, stdout, stderr := command(t, node.admin(), "status", "-o", "json", "--addr", "127.0.0.1:"+port)
	if code != exitDegraded || !strings.Contains(stdout, `"insecure":true`) {
		t.Errorf("%d, %s, %s", code, stdout, stderr)
	}
}

func TestServeEndsWhereItsJoinTokenIsRefused(t *testing.T) {
	t.Parallel()
	dir, gossipKey := t.TempDir(), mintGossipKey()
	n1 := serveNode(t, filepath.Join(dir, "n1"), gossipKey, "--bootstrap")
	n1.awaitReady()
	certify(t, n1.certsDir(), "n2", filepath.Join(dir, "n2"))
	n2 := serveNode(t, filepath.Join(dir, "n2"), gossipKey, "--join", n1.Peer, "--join-token", "not the token of this cluster")
	if code := n2.exitCode(); code != exitRemote || !strings.Contains(n2.stderr.String(), "next: make a token at a member of the cluster") {
		t.Errorf("exit code is %d\n%s", code, n2.stderr)
	}
}

func TestServeEndsWhereItHasNoCertificateToJoinWith(t *testing.T) {
	t.Parallel()
	n2 := serveNode(t, t.TempDir(), mintGossipKey(), "--join", "127.0.0.1:1", "--join-token", "of no use")
	if code := n2.exitCode(); code != exitRemote || !strings.Contains(n2.stderr.String(), "next: make one where the cluster's CA is: pipesync certs node") {
		t.Errorf("exit code is %d\n%s", code, n2.stderr)
	}
}

func TestPlainTextIsSaidAloud(t *testing.T) {
	t.Parallel()
	dir, gossipKey := t.TempDir(), mintGossipKey()
	n1 := serveNode(t, filepath.Join(dir, "n1"), gossipKey, "--bootstrap", "--insecure")
	if status := n1.awaitReady(); !status.Insecure || status.Certificate != nil {
		t.Errorf("status is %+v", status)
	}
	n2 := serveNode(t, filepath.Join(dir, "n2"), gossipKey, "--join", n1.Peer, "--join-token-file", n1.adminTokenFile(), "--insecure")
	if status := n2.awaitReady(); !status.Insecure || status.Voters == 0 {
		t.Errorf("status is %+v", status)
	}
}

func TestServeKeepsAskingUntilTheClusterAnswers(t *testing.T) {
	t.Parallel()
	dir, gossipKey := t.TempDir(), mintGossipKey()
	free, err := testcluster.FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	peer := free[0]
	const token = "a token that both are told"
	ca := filepath.Join(dir, "ca")
	mustCommand(t, nil, nil, "certs", "ca", "--out", ca)
	certify(t, ca, "n1", filepath.Join(dir, "n1"))
	certify(t, ca, "n2", filepath.Join(dir, "n2"))
	n2 := serveNode(t, filepath.Join(dir, "n2"), gossipKey, "--join", peer, "--join-token", token)
	n1 := &testServer{dir: filepath.Join(dir, "n1"), env: map[string]string{
		"PIPESYNC_DATA_DIR": filepath.Join(dir, "n1"), "PIPESYNC_GOSSIP_KEY": gossipKey, "PIPESYNC_ADMIN_TOKEN": token,
	}}
	n1.running = launch(t, n1.env, "serve", "-o", "json", "--bootstrap",
		"--http-addr", "127.0.0.1:0", "--peer-addr", peer, "--gossip-addr", "127.0.0.1:0")
	n1.firstLine(&n1.boundPorts)
	if status := n2.awaitReady(); status.ClusterID == "" {
		t.Errorf("status is %+v", status)
	}
}

// Three machines are switched on with the same settings, and are one cluster. All are
// switched off and on again, and still are.
func TestServeFoundsAClusterTogether(t *testing.T) {
	t.Parallel()
	dir, gossipKey := t.TempDir(), mintGossipKey()
	peers, err := testcluster.FreePorts(3)
	if err != nil {
		t.Fatal(err)
	}
	token := filepath.Join(dir, "admin-token")
	if err := os.WriteFile(token, []byte("a token that all are told"), 0o600); err != nil {
		t.Fatal(err)
	}
	ca := filepath.Join(dir, "ca")
	mustCommand(t, nil, nil, "certs", "ca", "--out", ca)
	ids := []string{"n2", "n1", "n3"}
	for _, id := range ids {
		certify(t, ca, id, filepath.Join(dir, id))
	}
	var clusters []string
	for range 2 {
		nodes := make([]*testServer, len(ids))
		for i, id := range ids {
			nodes[i] = serveNode(t, filepath.Join(dir, id), gossipKey, "--peer-addr", peers[i], "--admin-token-file", token,
				"--bootstrap-expect", "3", "--join", strings.Join(peers, ","))
		}
		for _, n := range nodes {
			var status client.Status
			mustCommand(t, map[string]string{"PIPESYNC_ADMIN_TOKEN_FILE": token, "PIPESYNC_HTTP_ADDR": n.HTTP}, &status, "status", "--wait", "ready")
			clusters = append(clusters, status.ClusterID)
		}
		for _, n := range nodes {
			n.terminate()
		}
	}
	if one := slices.Compact(slices.Clone(clusters)); len(one) != 1 || one[0] == "" {
		t.Errorf("the clusters are %q", clusters)
	}
}
