package api

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"

	"pipesync/cluster"
	"pipesync/fsm"
)

func TestGossipKeys(t *testing.T) {
	e := newEdge(t)
	held := map[string][]string{}
	e.cluster.members = func() ([]cluster.Member, error) {
		return []cluster.Member{{ID: "n1", GossipKeys: held["n1"]}, {ID: "n2", GossipKeys: held["n2"]}}, nil
	}
	list := func() string { return e.do("GET", "/v1/admin/gossip-keys", "").want(200, "").body }
	if got := list(); got != `{"revision":0,"rotating":false,"keys":[],"waiting_for":[],"dead":[]}` {
		t.Errorf("before there are any: %s", got)
	}
	e.do("POST", "/v1/admin/gossip-keys/rotate", "").want(409, codeClusterTooOld)
	e.mustApply(&fsm.VersionRaise{RequestID: mintRequestID(), Version: fsm.MaxClusterVersion})
	e.do("POST", "/v1/admin/gossip-keys/rotate", "").want(409, codeNoGossipKeys)

	first := [32]byte(bytes.Repeat([]byte{7}, 32))
	e.mustApply(&fsm.GossipKeyAdd{RequestID: mintRequestID(), Key: first, First: true})
	old := cluster.GossipFingerprint(first[:])
	held["n1"] = []string{old}
	if got := list(); !strings.Contains(got, `{"fingerprint":"`+old+`","primary":true,"added_at":`) ||
		!strings.HasSuffix(got, `"held_by":["n1"],"used_by":["n1"]}],"waiting_for":["n2"],"dead":[]}`) || !strings.HasPrefix(got, `{"revision":1,"rotating":false,`) {
		t.Errorf("the first: %s", got)
	}

	// The first proposal reaches the log, and its reply doesn't reach this node.
	proposals := 0
	e.cluster.propose = func(_ context.Context, body []byte) ([]byte, error) {
		reply, err := e.log.apply(body)
		if proposals++; proposals == 1 {
			return nil, cluster.ErrOutcomeUnknown
		}
		return reply, err
	}
	began := e.do("POST", "/v1/admin/gossip-keys/rotate", "").want(202, "").body
	view, err := e.log.sm.View()
	if err != nil {
		t.Fatal(err)
	}
	ring, err := view.GossipRing()
	view.Close()
	if err != nil || len(ring.Keys) != 2 {
		t.Fatalf("ring %+v, %v", ring, err)
	}
	added := ring.Keys[1].Key
	fresh := cluster.GossipFingerprint(added[:])
	if !strings.HasPrefix(began, `{"revision":2,"rotating":true,`) || !strings.Contains(began, `{"fingerprint":"`+fresh+`","primary":false,`) ||
		!strings.HasSuffix(began, `"waiting_for":["n1","n2"],"dead":[]}`) {
		t.Errorf("begun: %s", began)
	}
	e.do("POST", "/v1/admin/gossip-keys/rotate", "").want(409, codeGossipKeyRotating)
	held["n1"], held["n2"] = []string{old, fresh}, []string{fresh, old} // n2 is ahead of what this node has applied
	if got := list(); !strings.HasSuffix(got, `"held_by":["n1","n2"],"used_by":["n2"]}],"waiting_for":["n2"],"dead":[]}`) {
		t.Errorf("under way: %s", got)
	}
	delete(held, "n2")
	status := e.cluster.Status()
	status.Dead = []cluster.DeadMember{{ID: "n2"}}
	e.cluster.status = func() cluster.Status { return status }
	if got := list(); !strings.HasSuffix(got, `"waiting_for":[],"dead":["n2"]}`) {
		t.Errorf("with a dead member: %s", got)
	}
	for _, text := range []string{began, list(), e.lines.String()} {
		for _, k := range [][32]byte{first, added} {
			for _, secret := range []string{hex.EncodeToString(k[:]), base64.StdEncoding.EncodeToString(k[:]), string(k[:])} {
				if strings.Contains(text, secret) {
					t.Errorf("a key is told: %s", text)
				}
			}
		}
	}
}
