package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"pipesync/client"
	"pipesync/fsm"
	"pipesync/internal/testcluster"
	"pipesync/test/jepsen/history"
)

// dialPeer opens a connection to the peer port of a node, for the calls between members,
// by the certificate of another. Where the node refuses it says why, and there is no
// connection. The bytes are those of docs/FORMAT.md.
func dialPeer(ctx context.Context, node *testcluster.Node, clusterID, certs string) (conn net.Conn, refusal string, err error) {
	ctx, cancel := context.WithTimeout(ctx, dialSeconds*time.Second)
	defer cancel()
	pair, err := tls.LoadX509KeyPair(filepath.Join(certs, "node.pem"), filepath.Join(certs, "node.pem"))
	if err != nil {
		return nil, "", err
	}
	dialer := tls.Dialer{Config: &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{pair},
		InsecureSkipVerify: true, // whoever tries to get in doesn't mind
	}}
	if conn, err = dialer.DialContext(ctx, "tcp", node.Peer); err != nil {
		return nil, "", err
	}
	refusal, err = greet(conn, node.ID, clusterID)
	if err != nil || refusal != "" {
		return nil, refusal, errors.Join(err, conn.Close())
	}
	return conn, "", nil
}

func greet(conn net.Conn, nodeID, clusterID string) (refusal string, err error) {
	if err := conn.SetDeadline(time.Now().Add(dialSeconds * time.Second)); err != nil {
		return "", err
	}
	hello := append([]byte("PSYN\x01\x02"), byte(len(clusterID)))
	hello = append(append(hello, clusterID...), byte(len(nodeID)))
	if _, err := conn.Write(append(hello, nodeID...)); err != nil {
		return "", err
	}
	answer := make([]byte, 1)
	if _, err := io.ReadFull(conn, answer); err != nil {
		return "", err
	}
	if answer[0] != 0 {
		reason, _ := io.ReadAll(conn) // for people
		return fmt.Sprintf("status %d, %s", answer[0], strings.TrimSpace(string(reason))), nil
	}
	return "", conn.SetDeadline(time.Time{})
}

// propose has a leader decide about a command as a member asks it to, by that one's
// certificate.
func propose(ctx context.Context, leader *testcluster.Node, status client.Status, certs string, cmd fsm.Command) (*fsm.Result, error) {
	body, err := fsm.Encode(cmd)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		conn, refusal, err := dialPeer(ctx, leader, status.ClusterID, certs)
		if err == nil && refusal != "" {
			err = errors.New(refusal)
		}
		return conn, err
	}}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+leader.Peer+"/v1/propose", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Pipesync-Term", fmt.Sprint(status.Term))
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	reply, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		return nil, err
	}
	if outcome := resp.Header.Get("Pipesync-Outcome"); outcome != "decided" {
		return nil, fmt.Errorf("%s: %s", outcome, reply)
	}
	return fsm.DecodeResult(reply)
}

// lenientMember has a member send a sync to the leader with a key that doesn't allow it,
// as one would that looks at no scope. The same with a key that does proves that it is
// sent rightly.
func lenientMember(ctx context.Context, n *nemesis) (*broken, error) {
	b := &broken{heal: nothing}
	leader, err := n.cluster.Leader(ctx)
	if err != nil {
		return b, err
	}
	ctx, cancel := context.WithTimeout(ctx, operationSeconds*time.Second)
	defer cancel()
	b.on = []*testcluster.Node{n.another(leader)}
	status, err := leader.Client().Status(ctx)
	if err != nil {
		return b, nil // it is slow just now
	}
	outcomes := map[string]fsm.Outcome{}
	for _, action := range []string{client.Delete, "read"} {
		key, err := leader.Client().CreateKey(ctx, client.KeyRequest{
			OrganizationID: n.probe.org, VectorStoreID: n.probe.store, Actions: []string{action}})
		if err != nil {
			return b, nil
		}
		sync := &fsm.Sync{Org: n.probe.org, KeyID: key.KeyID, Store: n.probe.store, Mode: fsm.Incremental,
			SyncID:     "sync_" + strings.TrimPrefix(key.KeyID, "key_"),
			Operations: []fsm.Operation{{Action: fsm.Delete, Namespace: "ns", ID: "nothing"}}}
		_, _ = rand.Read(sync.RequestID[:]) // never fails
		result, err := propose(ctx, leader, status, b.on[0].CertsDir(), sync)
		if err != nil {
			return b, nil // another may lead by now
		}
		outcomes[action] = result.Outcome
	}
	if outcomes[client.Delete] == fsm.OK {
		b.proof = "what the key allows is applied"
	}
	n.attempted(history.Attempt{What: "to have a sync applied that its key doesn't allow", Node: leader.ID,
		Succeeded: outcomes["read"] == fsm.OK, Said: outcomes["read"].Name()})
	return b, nil
}
