package load

import (
	"encoding/json"
	"testing"
)

// batches fails the test where there are none.
func batches(t *testing.T, r *Records, j Job) [][]Record {
	t.Helper()
	all, err := r.Batches(j)
	if err != nil || len(all) != j.Requests {
		t.Fatalf("%+v: %d requests, %v", j, len(all), err)
	}
	for _, batch := range all {
		if len(batch) != j.Operations {
			t.Fatalf("%+v: a request of %d", j, len(batch))
		}
	}
	return all
}

// content is what has been written by now; how many of a batch are new, other or as before.
type content map[string]string

func (c content) write(batch []Record) (created, updated, unchanged int) {
	for _, r := range batch {
		switch before, has := c[r.ID]; {
		case !has:
			created++
		case before != r.Data:
			updated++
		default:
			unchanged++
		}
		c[r.ID] = r.Data
	}
	return created, updated, unchanged
}

func TestKindsDoAsTheySay(t *testing.T) {
	r, c := NewRecords(), content{}
	const operations = 200
	for _, job := range []struct {
		kind                        string
		created, updated, unchanged int
	}{
		{Fresh, operations, 0, 0},
		{Update, 0, operations, 0},
		{Repush, 0, operations / repushShare, operations - operations/repushShare},
		{Update, 0, operations, 0},
		{Fresh, operations, 0, 0},
		{Repush, 0, operations / repushShare, operations - operations/repushShare},
	} {
		for _, batch := range batches(t, r, Job{Kind: job.kind, Operations: operations, Requests: 5, Bytes: 150}) {
			created, updated, unchanged := c.write(batch)
			if created != job.created || updated != job.updated || unchanged != job.unchanged {
				t.Errorf("%s: %d created, %d updated, %d unchanged", job.kind, created, updated, unchanged)
			}
		}
	}
	for _, batch := range batches(t, r, Job{Kind: Read, Operations: 1, Requests: 50}) {
		if _, has := c[batch[0].ID]; !has {
			t.Errorf("a read of %s, which isn't there", batch[0].ID)
		}
	}
	if r.Len() != len(c) {
		t.Errorf("%d records, and %d are there", r.Len(), len(c))
	}
}

func TestDataHasTheBytesThatAreAskedFor(t *testing.T) {
	for _, bytes := range []int{0, 59, 60, 100, 200, 1 << 10, 64 << 10} {
		for _, batch := range batches(t, NewRecords(), Job{Kind: Fresh, Operations: 20, Requests: 1, Bytes: bytes}) {
			for _, record := range batch {
				if !json.Valid([]byte(record.Data)) {
					t.Fatalf("not JSON: %s", record.Data)
				}
				if len(record.Data) != bytes && record.Data != "{}" {
					t.Errorf("%d bytes, want %d", len(record.Data), bytes)
				}
				if bytes >= 100 && record.Data == "{}" {
					t.Errorf("nothing, where there is room for %d bytes", bytes)
				}
			}
		}
	}
}

func TestRecordsAreTheSameAgain(t *testing.T) {
	jobs := []Job{{Kind: Fresh, Operations: 10, Requests: 10, Bytes: 120}, {Kind: Update, Operations: 5, Requests: 3, Bytes: 120}}
	one, other := NewRecords(), NewRecords()
	for _, j := range jobs {
		a, b := batches(t, one, j), batches(t, other, j)
		for i := range a {
			for k := range a[i] {
				if a[i][k] != b[i][k] {
					t.Fatalf("%+v and %+v", a[i][k], b[i][k])
				}
			}
		}
	}
}

func TestJobsThatCanNotBe(t *testing.T) {
	for _, j := range []Job{{Kind: Update, Operations: 5, Requests: 1}, {Kind: "sing", Operations: 0, Requests: 1}} {
		if all, err := NewRecords().Batches(j); err == nil {
			t.Errorf("%+v: %d requests", j, len(all))
		}
	}
}
