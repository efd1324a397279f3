package e2e

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pipesync/client"
	"pipesync/internal/testcluster"
)

// Statuses of a preamble's answer: see docs/FORMAT.md.
const (
	preambleOK            = 0
	preambleWrongCluster  = 2
	preambleNoCertificate = 9
	preambleBadCert       = 10
	preambleWantsTLS      = 11
)

// Whoever isn't of the cluster, or was let do something once, is refused at a real node,
// and told why.
func TestWhoIsRefused(t *testing.T) {
	t.Parallel()
	s := own(t, 2, 2*testDeadline)
	status, err := s.admin(s.Nodes[0]).Status(s.ctx)
	s.must(err)
	for _, who := range []struct {
		name      string
		isRefused func(*visitor)
	}{
		{"an unauthenticated peer", (*visitor).unauthenticated},
		{"a wrong CA", (*visitor).wrongCA},
		{"a foreign cluster id", (*visitor).foreignCluster},
		{"a used token", (*visitor).usedToken},
		{"a recorded admin call at the peer port", (*visitor).recordedHop},
		{"a late admin call at the peer port", (*visitor).lateHop},
		{"a replayed admin call", (*visitor).replayedCall},
	} {
		t.Run(who.name, func(t *testing.T) {
			own := *s
			own.T = t
			who.isRefused(&visitor{suite: &own, clusterID: status.ClusterID})
		})
	}
}

// visitor speaks to the peer port of nodes, as the test has it.
type visitor struct {
	*suite
	clusterID string
}

// peerPort says what a node answers to the preamble for a hop to it: a status and
// a reason. Certificate and key are in dir, which is empty for none.
func (v *visitor) peerPort(n *testcluster.Node, dir, clusterID string) (status byte, reason string) {
	v.Helper()
	tcp, err := net.Dial("tcp", n.Peer)
	v.must(err)
	conn, err := secure(tcp, dir)
	v.must(err)
	defer func() { _ = conn.Close() }()
	status, reason, err = greet(conn, clusterID, n.ID)
	v.must(err)
	return status, reason
}

// secure has TLS shake hands, with the certificate of a node if there is one in dir.
func secure(tcp net.Conn, dir string) (net.Conn, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS13, InsecureSkipVerify: true} // it isn't the dialer who is tested
	if dir != "" {
		pem := filepath.Join(dir, "node.pem")
		cert, err := tls.LoadX509KeyPair(pem, pem)
		if err != nil {
			return nil, errors.Join(err, tcp.Close())
		}
		config.Certificates = []tls.Certificate{cert}
	}
	conn := tls.Client(tcp, config)
	err := conn.SetDeadline(time.Now().Add(testDeadline))
	if err == nil {
		err = conn.Handshake()
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// greet sends the preamble of a connection that carries hops.
func greet(conn net.Conn, clusterID, nodeID string) (status byte, reason string, err error) {
	const version, hops = 1, 2
	preamble := append([]byte("PSYN"), version, hops)
	for _, id := range []string{clusterID, nodeID} {
		preamble = append(append(preamble, byte(len(id))), id...)
	}
	if _, err := conn.Write(preamble); err != nil {
		return 0, "", err
	}
	answer := make([]byte, 2)
	if _, err := io.ReadFull(conn, answer[:1]); err != nil || answer[0] == preambleOK {
		return answer[0], "", err
	}
	if _, err := io.ReadFull(conn, answer[1:]); err != nil {
		return 0, "", err
	}
	text := make([]byte, answer[1])
	_, err = io.ReadFull(conn, text)
	return answer[0], string(text), err
}

func (v *visitor) wants(status byte, reason string, gotStatus byte, gotReason string) {
	v.Helper()
	if gotStatus != status || !strings.Contains(gotReason, reason) {
		v.Errorf("refused by status %d, %q, want %d and %q in it", gotStatus, gotReason, status, reason)
	}
}

func (v *visitor) unauthenticated() {
	n := v.Nodes[0]
	status, reason := v.peerPort(n, "", v.clusterID)
	v.wants(preambleNoCertificate, "expected one for a node of cluster "+v.clusterID, status, reason)
	plain, err := net.Dial("tcp", n.Peer)
	v.must(err)
	defer func() { _ = plain.Close() }()
	v.must(plain.SetDeadline(time.Now().Add(testDeadline)))
	status, reason, err = greet(plain, v.clusterID, n.ID)
	v.must(err)
	v.wants(preambleWantsTLS, "", status, reason)
	v.refused(v.answer(n, request{path: "/v1/admin/members"}), http.StatusUnauthorized, "MISSING_ADMIN_TOKEN")
	v.refused(v.answer(n, request{path: "/v1/admin/members", bearer: "guess"}), http.StatusUnauthorized, "INVALID_ADMIN_TOKEN")
}

// files are those of a node that another CA has signed, for the cluster.
func (v *visitor) files(clusterID, nodeID string) string {
	v.Helper()
	dir := v.TempDir()
	for _, args := range [][]string{
		{"certs", "ca", "--out", filepath.Join(dir, "ca"), "--cluster-id", clusterID},
		{"certs", "node", "--ca", filepath.Join(dir, "ca"), "--node-id", nodeID, "--out", dir},
	} {
		_, err := v.pipesync(args...)
		v.must(err)
	}
	return dir
}

func (v *visitor) wrongCA() {
	status, reason := v.peerPort(v.Nodes[0], v.files(v.clusterID, v.Nodes[1].ID), v.clusterID)
	v.wants(preambleBadCert, "expected a signature of", status, reason)
}

func (v *visitor) foreignCluster() {
	const foreign = "cluster-foreign"
	status, reason := v.peerPort(v.Nodes[0], v.files(foreign, v.Nodes[1].ID), v.clusterID)
	v.wants(preambleBadCert, "pipesync://"+foreign+"/node/"+v.Nodes[1].ID, status, reason)
	// A member that names another cluster is wrong here, too.
	status, reason = v.peerPort(v.Nodes[0], v.Nodes[1].CertsDir(), foreign)
	v.wants(preambleWrongCluster, "", status, reason)
	if status, reason := v.peerPort(v.Nodes[0], v.Nodes[1].CertsDir(), v.clusterID); status != preambleOK {
		v.Errorf("a member is refused by status %d, %q", status, reason)
	}
}

func (v *visitor) usedToken() {
	token, err := v.admin(v.Nodes[0]).CreateToken(v.ctx, 0)
	v.must(err)
	join := func(n *testcluster.Node) error {
		v.must(n.Start())
		v.must(n.AwaitLive(v.ctx))
		_, err := v.admin(n).Join(v.ctx, client.JoinRequest{Peer: v.Nodes[0].Peer, Token: token.Token})
		return err
	}
	first, err := v.NewNode()
	v.must(err)
	v.must(join(first))
	second, err := v.NewNode()
	v.must(err)
	defer func() { v.must(second.Kill9()); v.Cluster.Nodes = v.Nodes[:3] }()
	var refused *client.Error
	if err := join(second); !errors.As(err, &refused) || refused.Code != "JOIN_REFUSED" || !strings.Contains(refused.Message, "the token has been used") {
		v.Errorf("the second: %v", err)
	}
	members, err := v.admin(v.Nodes[0]).Members(v.ctx)
	v.must(err)
	if len(members.Members) != 3 {
		v.Errorf("members %+v", members)
	}
}

// recorder is a connection that keeps all that is written to it.
type recorder struct {
	net.Conn
	sent bytes.Buffer
}

func (r *recorder) Write(b []byte) (int, error) {
	r.sent.Write(b)
	return r.Conn.Write(b)
}

// recordedHop sends the bytes of a member's call once more, as somebody who has
// recorded them: it is no call at all.
func (v *visitor) recordedHop() {
	leader, _, recorded := v.called("rotate-ca", "")
	ca := ""
	v.await("the rotation that was begun", func(ctx context.Context) error {
		status, err := v.admin(leader).Status(ctx)
		if err != nil {
			return err
		}
		if status.CARotation == nil || status.CARotation.Phase != "done" {
			return fmt.Errorf("it is at %+v", status.CARotation)
		}
		ca = status.CARotation.CA
		return nil
	})
	again, err := net.Dial("tcp", leader.Peer)
	v.must(err)
	defer func() { _ = again.Close() }()
	v.must(again.SetDeadline(time.Now().Add(testDeadline)))
	_, err = again.Write(recorded)
	v.must(err)
	if _, err := io.Copy(io.Discard, again); errors.Is(err, os.ErrDeadlineExceeded) {
		v.Error("the connection stays open")
	}
	status, err := v.admin(leader).Status(v.ctx)
	v.must(err)
	if r := status.CARotation; r.CA != ca || r.Phase != "done" {
		v.Errorf("it has begun another rotation: %+v", r)
	}
}

// lateHop has a member make a call twice, the second time when its term has passed.
func (v *visitor) lateHop() {
	leader, text, _ := v.called("transfer", `{"node_id":""}`)
	tcp, err := net.Dial("tcp", leader.Peer)
	v.must(err)
	got := v.hop(tcp, v.notNode(leader), leader, text)
	if cause := got.Get("Pipesync-Cause"); got.Get("Pipesync-Outcome") != "not-applied" || cause != "other-term" && cause != "not-leader" {
		v.Errorf("the call again: %v", got)
	}
}

// called has another member make a call to the leader, which is decided, and returns
// the call and all bytes that were sent for it.
func (v *visitor) called(operation, body string) (leader *testcluster.Node, text string, sent []byte) {
	v.Helper()
	v.await("a "+operation, func(ctx context.Context) error {
		var err error
		if leader, err = v.Leader(ctx); err != nil {
			return err
		}
		status, err := v.admin(leader).Status(ctx)
		if err != nil {
			return err
		}
		tcp, err := net.Dial("tcp", leader.Peer)
		if err != nil {
			return err
		}
		r := &recorder{Conn: tcp}
		text = fmt.Sprintf("POST /v1/%s HTTP/1.1\r\nHost: %s\r\nPipesync-Term: %d\r\nContent-Length: %d\r\n\r\n%s", operation, leader.ID, status.Term, len(body), body)
		if got := v.hop(r, v.notNode(leader), leader, text); got.Get("Pipesync-Outcome") != "decided" {
			return fmt.Errorf("answered %v", got) // another leads by now, or the version isn't raised yet
		}
		sent = r.sent.Bytes()
		return nil
	})
	return leader, text, sent
}

func (v *visitor) notNode(n *testcluster.Node) *testcluster.Node {
	if v.Nodes[0] == n {
		return v.Nodes[1]
	}
	return v.Nodes[0]
}

// hop sends a call as one member to another on a new connection, which it closes, and
// returns the header of the reply.
func (v *visitor) hop(tcp net.Conn, from, to *testcluster.Node, call string) http.Header {
	v.Helper()
	conn, err := secure(tcp, from.CertsDir())
	v.must(err)
	defer func() { _ = conn.Close() }()
	status, reason, err := greet(conn, v.clusterID, to.ID)
	v.must(err)
	if status != preambleOK {
		v.Fatalf("refused by status %d, %q", status, reason)
	}
	_, err = io.WriteString(conn, call)
	v.must(err)
	got, err := http.ReadResponse(bufio.NewReader(conn), nil)
	v.must(err)
	v.must(got.Body.Close())
	return got.Header
}

// replayedCall sends admin calls over HTTP again: what makes something by its name makes
// it once, what ends something finds nothing to end, and with a token that has been
// replaced nothing is done.
func (v *visitor) replayedCall() {
	n := v.Nodes[0]
	tn := v.tenant(n)
	store := request{path: "/v1/admin/stores", bearer: v.AdminToken, body: map[string]string{"organization_id": tn.org, "vector_store_id": "vs_replayed"}}
	for _, created := range []bool{true, false} {
		if got := v.answer(n, store); !bytes.Contains(got.body, fmt.Appendf(nil, `"created":%t`, created)) {
			v.Errorf("the store is made: %d %s, want created %t", got.status, got.body, created)
		}
	}
	token, err := v.admin(n).CreateToken(v.ctx, 0)
	v.must(err)
	revoke := request{method: http.MethodDelete, path: "/v1/admin/tokens/" + token.TokenID, bearer: v.AdminToken}
	if got := v.answer(n, revoke); got.status != http.StatusOK {
		v.Errorf("the token is revoked: %d %s", got.status, got.body)
	}
	v.refused(v.answer(n, revoke), http.StatusNotFound, "TOKEN_NOT_FOUND")
	join := request{path: "/v1/admin/members/join", bearer: v.AdminToken, body: map[string]string{"peer": v.Nodes[0].Peer, "token": token.Token}}
	v.refused(v.answer(v.Nodes[1], join), http.StatusConflict, "ALREADY_JOINED")

	// Nothing that was recorded is of any use with a token that is no more.
	_, err = v.admin(n).RotateAdminToken(v.ctx, "the-next-token-of-administrators")
	v.must(err)
	for _, n := range v.Nodes {
		v.await("the old token's end at "+n.ID, func(context.Context) error {
			got, err := v.send(n, store)
			if err == nil && got.status != http.StatusUnauthorized {
				err = fmt.Errorf("%d %s", got.status, got.body)
			}
			return err
		})
		v.refused(v.answer(n, store), http.StatusUnauthorized, "INVALID_ADMIN_TOKEN")
	}
}
