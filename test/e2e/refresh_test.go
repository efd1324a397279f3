package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"

	"pipesync/client"
	"pipesync/internal/testcluster"
)

const (
	refreshes      = 40 // below the 100 a minute of the organization
	refreshRecords = 300
	readersANode   = 2
)

// Each refresh replaces all records by ones that carry its number; a list that
// shows two numbers, or fewer records than one refresh has, is a mixture.
func TestFullRefreshIsNeverSeenHalfDone(t *testing.T) {
	s := shared(t)
	tn := s.tenant(s.Nodes[0])
	s.refresh(tn, 0)
	var wg sync.WaitGroup
	done := make(chan struct{})
	for _, n := range s.Nodes {
		for i := range readersANode {
			wg.Go(func() { s.readWhole(n, tn, i, done) })
		}
	}
	for number := 1; number <= refreshes; number++ {
		s.refresh(tn, number)
	}
	close(done)
	wg.Wait()
	if ns := s.sameDigest(tn, "ns"); ns.Records != refreshRecords {
		t.Errorf("%d records at the end", ns.Records)
	}
}

func (s *suite) refresh(tn tenant, number int) {
	s.Helper()
	var ops []client.Operation
	for i := range refreshRecords {
		id := fmt.Sprintf("r%d-%03d", (number+i%2)%3, i) // half of the ids stay for a while
		ops = append(ops, upsert("ns", id, fmt.Sprintf(`{"refresh":%d}`, number)))
	}
	got := s.ok(s.sync(s.Nodes[number%3], tn, tn.batch(client.FullRefresh, ops...)))
	if number > 0 && got.Details.Created+got.Details.Updated != refreshRecords {
		s.Errorf("refresh %d: %+v", number, got.Details)
	}
}

// readWhole lists the namespace again and again until done, alternately in one
// page and in several, linearizably and stale.
func (s *suite) readWhole(n *testcluster.Node, tn tenant, reader int, done <-chan struct{}) {
	last, whole := -1, 0
	for round := reader; ; round++ {
		select {
		case <-done:
			if whole > 0 {
				return
			}
			// nothing changes any more: the next list is whole
		default:
		}
		opts := client.ReadOptions{Limit: 1000, Consistency: client.Linearizable}
		if round%2 == 1 {
			opts.Limit = 70
		}
		if round%3 == 2 {
			opts.Consistency = client.Stale
		}
		records, expired, err := s.pages(n, tn, opts)
		if err != nil {
			s.Errorf("reading from %s: %v", n.ID, err)
			return
		}
		if expired {
			continue
		}
		whole++
		number, err := oneRefresh(records)
		if err != nil {
			s.Errorf("%s (%s, pages of %d) shows a mixture: %v", n.ID, opts.Consistency, opts.Limit, err)
			return
		}
		if number < last {
			s.Errorf("%s went back from refresh %d to %d", n.ID, last, number)
		}
		last = number
	}
}

// pages reads a list to its end; expired is true where a refresh ended it.
func (s *suite) pages(n *testcluster.Node, tn tenant, opts client.ReadOptions) (all []client.Record, expired bool, err error) {
	for {
		page, err := s.as(tn, n).Records(s.ctx, tn.store, "ns", opts)
		var refused *client.Error
		if errors.As(err, &refused) && refused.Code == "CURSOR_EXPIRED" {
			return nil, true, nil
		}
		if err != nil {
			return nil, false, err
		}
		all = append(all, page.Records...)
		if page.NextCursor == nil {
			return all, false, nil
		}
		opts.Cursor = *page.NextCursor
	}
}

// oneRefresh returns the number that all records carry.
func oneRefresh(records []client.Record) (int, error) {
	if len(records) != refreshRecords {
		return 0, fmt.Errorf("%d records, want %d", len(records), refreshRecords)
	}
	var first struct{ Refresh int }
	for i, r := range records {
		var data struct{ Refresh int }
		if err := json.Unmarshal(r.Data, &data); err != nil {
			return 0, err
		}
		if i == 0 {
			first = data
		} else if data != first {
			return 0, fmt.Errorf("%q is of refresh %d, %q of %d", records[0].ID, first.Refresh, r.ID, data.Refresh)
		}
	}
	return first.Refresh, nil
}
