package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pipesync/client"
	"pipesync/fsm"
	"pipesync/fsm/admission"
	"pipesync/fsm/audit"
	"pipesync/storage"
)

// awaitStatus polls until a node's status is as it should be.
func (s *testServer) awaitStatus(what string, holds func(client.Status) bool) client.Status {
	s.t.Helper()
	for deadline := time.Now().Add(maxTestWait); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		var status client.Status
		code, stdout, _ := command(s.t, s.admin(), "status", "-o", "json")
		if code == exitOK || code == exitDegraded {
			if err := json.Unmarshal([]byte(stdout), &status); err != nil {
				s.t.Fatalf("%s: %v", stdout, err)
			}
			if holds(status) {
				return status
			}
		}
	}
	_, stdout, stderr := command(s.t, s.admin(), "status", "-o", "json")
	s.t.Fatalf("never: %s\n%s%s", what, stdout, stderr)
	return client.Status{}
}

// A row of one node rots, on a disk whose checksums are right. The scrub finds the
// node, which stops serving; taken out and brought back empty it is as good as new.
func TestANodeWhoseStateDivergesStopsServing(t *testing.T) {
	t.Parallel()
	dir, gossipKey := t.TempDir(), mintGossipKey()
	n1 := serveNode(t, filepath.Join(dir, "n1"), gossipKey, "--bootstrap", "--node-id", "n1")
	n1.awaitReady()
	join := func(id string) *testServer {
		n := n1.joinedBy(id)
		n.awaitReady()
		return n
	}
	n2, n3 := join("n2"), join("n3")
	var key client.NewKey
	mustCommand(t, n1.admin(), &key, "keys", "create", "--org", "org_a", "--vector-store", "vs_a")
	push(t, n1.HTTP, key.Key, "org_a", "docs", "1")
	wantRecord(t, n3.HTTP, key.Key, "vs_a", "docs", "1")

	n3.terminate()
	loseRecord(t, filepath.Join(n3.dir, "state", "db-0000000001"), "1")
	n3 = serveNode(t, n3.dir, gossipKey, "--node-id", "n3")
	n3.awaitReady() // nobody has looked yet

	var begun client.ScrubBegun
	mustCommand(t, n2.admin(), &begun, "scrub")
	// While n2 hasn't told what it found, n1 and n3 are in dispute.
	bad := n3.awaitStatus("n3 to know that it has diverged", func(s client.Status) bool {
		return s.State.Scrub != nil && s.State.Scrub.Verdict == "diverged" && len(s.Alarms) > 1
	})
	if bad.Ready || bad.Alarms[0].Code != "STATE_DIVERGED" || bad.Alarms[1].Code != "STATE_INCONSISTENT" ||
		bad.State.Scrub.Index != begun.Index || len(bad.State.Scrub.Problems) == 0 {
		t.Errorf("status of n3: %+v, %+v", bad, bad.State.Scrub)
	}
	good := n1.awaitStatus("n1 to know who has diverged", func(s client.Status) bool {
		return s.Ready && len(s.Members) == 3 && s.Members[2].Diverged && s.State.Scrub != nil && s.State.Scrub.Verdict == "agrees"
	})
	if len(good.Alarms) > 0 || good.Members[0].Diverged || good.Members[1].Diverged || len(good.State.Scrub.Problems) > 0 {
		t.Errorf("status of n1: %+v", good)
	}
	if body := get(t, n3.HTTP+"/readyz?verbose"); !strings.Contains(body, "[-] state: this node's state isn't the one") {
		t.Errorf("n3 is ready: %s", body)
	}
	c := client.New(client.Options{Addrs: []string{n3.HTTP}, APIKey: key.Key})
	defer c.Close()
	if record, err := c.Record(context.Background(), "vs_a", "docs", "1", client.ReadOptions{}); err == nil || !strings.Contains(err.Error(), "NOT_READY") {
		t.Errorf("n3 serves %+v, %v", record, err)
	}
	mustCommand(t, n3.admin(), nil, "leave")
	if code := n3.exitCode(); code != exitOK {
		t.Errorf("exit code of n3, which left, is %d", code)
	}
	n4 := join("n4")
	wantRecord(t, n4.HTTP, key.Key, "vs_a", "docs", "1")
}

// loseRecord removes the only record of the only namespace from a node's database.
func loseRecord(t *testing.T, database, id string) {
	t.Helper()
	db, err := storage.Open(database, storage.Options{Fatal: func(err error) { panic(err) }})
	if err != nil {
		t.Fatal(err)
	}
	lost, _, found, err := db.Record(1, 1, 1, id)
	if err != nil || !found {
		t.Fatalf("record %s: %t, %v", id, found, err)
	}
	b := db.NewBatch()
	b.DeleteFingerprint(1, 1, 1, id)
	b.DeleteContent(1, 1, 1, lost.Changed)
	for _, err := range []error{b.Commit(), b.Close(), db.Close()} {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func get(t *testing.T, url string) string {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// What a state in doubt would answer for an entry may be wrong, so none is admitted.
func TestNothingIsAdmittedWhileTheStateIsInDoubt(t *testing.T) {
	t.Parallel()
	state, err := fsm.Open(fsm.Options{Dir: t.TempDir(), Fatal: func(err error) { panic(err) }})
	if err != nil {
		t.Fatal(err)
	}
	defer state.Close()
	gate := auditedGate{admission.New(state, admission.SystemClock{}), audit.New(state, filepath.Join(t.TempDir(), scrubsName), slog.New(slog.DiscardHandler))}
	gate.LeaderReady(1)
	body, err := fsm.Encode(&fsm.KeyRevoke{KeyID: "k"})
	if err != nil {
		t.Fatal(err)
	}
	admit := func() error {
		_, _, err := gate.Admit(t.Context(), 1, body)
		return err
	}
	if err := admit(); err != nil {
		t.Fatal(err)
	}
	gate.audit.Marked(fsm.Marked{Differs: true, Before: storage.Mark{Index: 7}})
	var passing interface{ NotApplied() bool }
	if err := admit(); !errors.As(err, &passing) || !passing.NotApplied() {
		t.Errorf("admitted: %v", err)
	}
}
