package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pipesync/client"
)

func TestOneProcessADirectory(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	ctx := context.Background()
	first, err := lockDir(ctx, dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lockDir(ctx, dir, 0); err == nil || !strings.Contains(err.Error(), "uses "+dir+" already") {
		t.Errorf("a second lock: %v", err)
	}
	// Whoever waits gets it once it is let go.
	waiting := make(chan error, 1)
	go func() {
		again, err := lockDir(ctx, dir, maxTestWait)
		if err == nil {
			err = again.release()
		}
		waiting <- err
	}()
	if err := first.release(); err != nil {
		t.Fatal(err)
	}
	if err := <-waiting; err != nil {
		t.Fatalf("after the first was released: %v", err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("mode is %v, %v", info.Mode(), err)
	}
}

func TestSecretIsMadeOnceAndPrivate(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "token")
	// What a crash between making and renaming leaves behind.
	if err := os.WriteFile(path+".new", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	first, err := readOrMakeSecret(path, mintAdminToken)
	if err != nil || len(first) < 40 {
		t.Fatalf("%q, %v", first, err)
	}
	second, err := readOrMakeSecret(path, mintAdminToken)
	if err != nil || second != first {
		t.Errorf("%q, %v, want %q", second, err, first)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode is %v, %v", info.Mode(), err)
	}
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	interrupted, cancel := context.WithCancelCause(context.Background())
	cancel(signalled{os.Interrupt})
	tests := []struct {
		ctx  context.Context
		err  error
		want int
	}{
		{context.Background(), errors.New("anything"), exitLocal},
		{context.Background(), &client.ConnectionError{}, exitRemote},
		{context.Background(), &client.Error{Code: "KEY_NOT_FOUND", Status: 404}, exitRemote},
		{context.Background(), &client.Error{Code: "NO_LEADER", Status: 503}, exitDegraded},
		{context.Background(), errors.Join(errors.New("x"), &client.Error{Code: "NOT_JOINED"}), exitDegraded},
		{interrupted, &client.ConnectionError{}, exitInterrupted},
		{interrupted, &exitError{code: exitDegraded, err: errors.New("x")}, exitDegraded},
	}
	for _, test := range tests {
		if got := exitCode(test.ctx, test.err); got != test.want {
			t.Errorf("%v: %d, want %d", test.err, got, test.want)
		}
	}
}

func TestReportTellsEachProblemOnce(t *testing.T) {
	t.Parallel()
	id := client.Detail{Field: "organization_id", Message: "is required"}
	store := client.Detail{Field: "vector_store_id", Message: "is required"}
	one := &client.Error{Addr: "http://n", Status: 400, Code: "VALIDATION_FAILED", Message: "organization_id is required"}
	one.Details = []client.Detail{id}
	two := *one
	two.Message, two.Details = "2 problems; the first: organization_id is required", []client.Detail{id, store}
	for want, err := range map[string]error{
		"pipesync: http://n answered 400 VALIDATION_FAILED: organization_id is required\n": one,
		"pipesync: http://n answered 400 VALIDATION_FAILED: 2 problems; the first: organization_id is required\n" +
			"  organization_id: is required\n  vector_store_id: is required\n": &two,
	} {
		var got strings.Builder
		if report(&got, err); got.String() != want {
			t.Errorf("got %q, want %q", got.String(), want)
		}
	}
}

func TestDegradation(t *testing.T) {
	t.Parallel()
	leader := &client.Leader{ID: "a"}
	alive := client.Member{ID: "a", Voter: true, Alive: true}
	heard := func(ms int64, m client.Member) client.Member {
		m.ID, m.Alive, m.LastContactMS = "b", true, &ms
		return m
	}
	tests := []struct {
		status client.Status
		want   string // in the reason; empty: not degraded
	}{
		{client.Status{ClusterID: "c", Leader: leader, Ready: true, Members: []client.Member{alive}}, ""},
		{client.Status{ClusterID: "c", Leader: leader, Ready: true, Members: []client.Member{alive, {ID: "b"}}}, ""},
		{client.Status{ClusterID: "c", Leader: leader, Ready: true, Members: []client.Member{alive, {ID: "b", Voter: true}}}, "voter b"},
		{client.Status{ClusterID: "c", Leader: leader, Ready: true, Members: []client.Member{alive, heard(10_000, alive)}}, ""},
		{client.Status{ClusterID: "c", Leader: leader, Ready: true, Members: []client.Member{alive, heard(10_001, alive)}}, "voter b () has not answered the leader for 10001 ms"},
		{client.Status{ClusterID: "c", Leader: leader, Ready: true, Members: []client.Member{alive, heard(10_001, client.Member{})}}, ""},
		{client.Status{ClusterID: "c", Leader: leader, Ready: true, Alarms: []client.Alarm{{Code: "DISK_FULL", Message: "make room"}}}, "DISK_FULL: make room"},
		{client.Status{ClusterID: "c", Leader: leader}, "not ready"},
		{client.Status{ClusterID: "c", Ready: true}, "no leader"},
		{client.Status{}, "no cluster"},
	}
	for _, test := range tests {
		err := degradation(test.status)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: %v, want %q", test.status, err, test.want)
		}
	}
}

func TestTypos(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"http-adr", "http-addr", 1}, {"kitten", "sitting", 3}} {
		if got := edits(test.a, test.b); got != test.want {
			t.Errorf("%q to %q: %d, want %d", test.a, test.b, got, test.want)
		}
	}
}
