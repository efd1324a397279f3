package cluster

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// Entries are read as raft-boltdb reads them, and are nobody else's memory.
func TestEntriesAreReadAsTheyWereWritten(t *testing.T) {
	file, err := openBolt(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	written := []*raft.Log{
		{Index: 1, Term: 2, Type: raft.LogConfiguration, Data: []byte("who is a member")},
		{Index: 2, Term: 1 << 40, Data: make([]byte, 100_000), Extensions: []byte{1, 2, 3}, AppendedAt: time.Unix(1<<30, 7)},
		{Index: 3, Term: 1 << 40, Type: raft.LogBarrier, AppendedAt: time.Now()},
	}
	if err := file.StoreLogs(written); err != nil {
		t.Fatal(err)
	}
	for _, e := range written {
		var want, got, again raft.Log
		if err := file.(*mappedFile).BoltStore.GetLog(e.Index, &want); err != nil {
			t.Fatal(err)
		}
		if err := file.GetLog(e.Index, &got); err != nil || !sameEntry(&got, &want) || !got.AppendedAt.Equal(want.AppendedAt) {
			t.Errorf("entry %d: %+v, %v", e.Index, got, err)
		}
		copy(got.Data, bytes.Repeat([]byte("x"), len(got.Data))) // would fault in the file's memory
		if err := file.GetLog(e.Index, &again); err != nil || !sameEntry(&again, &want) {
			t.Errorf("entry %d, read again: %+v, %v", e.Index, again, err)
		}
	}
	if err := file.GetLog(4, new(raft.Log)); !errors.Is(err, raft.ErrLogNotFound) {
		t.Error(err)
	}
}
