package main

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"pipesync/internal/bench/load"
)

func TestEveryReplicaHasWhatWasWritten(t *testing.T) {
	d, err := start(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	f, err := d.do(t.Context(), load.Job{Kind: load.Fresh, Clients: 2, Operations: 20, Requests: 10, Bytes: 100, To: load.Leader})
	if err != nil || f.Records != 200 {
		t.Fatalf("%+v, %v", f, err)
	}
	batches, err := load.NewRecords().Batches(load.Job{Kind: load.Fresh, Operations: 20, Requests: 10, Bytes: 100})
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range d.replicas {
		for _, batch := range batches {
			for _, want := range batch {
				got, closer, err := r.state.Get([]byte(want.ID))
				for ; errors.Is(err, pebble.ErrNotFound); got, closer, err = r.state.Get([]byte(want.ID)) {
					time.Sleep(pollInterval) // a follower may be behind
				}
				if err != nil || string(got) != want.Data {
					t.Fatalf("replica %d: %s is %s, want %s: %v", i, want.ID, got, want.Data, err)
				}
				_ = closer.Close()
			}
		}
	}
	if _, err := d.do(t.Context(), load.Job{Kind: load.Read, Clients: 1, Operations: 1, Requests: 1, To: load.Leader}); err == nil {
		t.Error("it has read")
	}
	if err := d.close(); err != nil {
		t.Error(err)
	}
}

func TestEntriesAreTheRecordsBytes(t *testing.T) {
	entry := encode([]load.Record{{ID: "a", Data: `{"x":1}`}, {ID: "bc", Data: "{}"}})
	var got [][]byte
	for rest := entry; len(rest) > 0; {
		var text []byte
		text, rest = field(rest)
		got = append(got, text)
	}
	if want := "a|{\"x\":1}|bc|{}"; string(bytes.Join(got, []byte("|"))) != want {
		t.Errorf("%q, want %q", bytes.Join(got, []byte("|")), want)
	}
}
