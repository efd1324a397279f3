package fsm

import (
	"errors"

	"pipesync/storage"
)

// consumer folds the changes of the test's store, page by page, while the store
// goes on changing.
type consumer struct {
	at      Cursor
	records map[string]map[string]storage.Hash // by namespace and id
	caught  int                                // how often it was caught up
	again   int                                // how often it had to begin again
}

// read takes the next page. Where that is the last one, what has been folded
// must be what is live.
func (c *consumer) read(t failer, r *rig, limit int) {
	v := r.view()
	defer v.Close()
	page, err := v.Changes(testOrg, testStore, c.at, limit)
	if errors.Is(err, ErrCursorCompacted) {
		*c = consumer{caught: c.caught, again: c.again + 1}
		return
	}
	if err != nil {
		t.Fatalf("%v", err)
	}
	if len(page.Changes) > limit {
		t.Fatalf("%d changes, at most %d", len(page.Changes), limit)
	}
	for _, change := range page.Changes {
		if !before(c.at.After, change.Seq) {
			t.Fatalf("change %v behind cursor %v", change.Seq, c.at.After)
		}
		c.at.After = change.Seq
		c.fold(&change)
	}
	if before(page.Next.After, c.at.After) {
		t.Fatalf("the next cursor %v is before %v", page.Next.After, c.at.After)
	}
	c.at = page.Next
	if page.CaughtUp {
		c.caught++
		c.compare(t, r, v)
	}
}

func (c *consumer) fold(change *Change) {
	if c.records == nil {
		c.records = map[string]map[string]storage.Hash{}
	}
	if c.records[change.Namespace] == nil {
		c.records[change.Namespace] = map[string]storage.Hash{}
	}
	if change.Deleted {
		delete(c.records[change.Namespace], change.ID)
		return
	}
	c.records[change.Namespace][change.ID] = change.Hash
}

func (c *consumer) compare(t failer, r *rig, v *View) {
	live, err := v.Namespaces(testOrg, testStore, Scope{}, "", 100)
	if err != nil {
		t.Fatalf("%v", err)
	}
	records := 0
	for _, ns := range live {
		folded := map[string]Record{}
		for id, hash := range c.records[ns.Name] {
			folded[id] = Record{Hash: hash}
		}
		if got := modelDigest(folded); got != ns.Digest || len(folded) != int(ns.Records) {
			t.Fatalf("folded up to %v, namespace %s has %v with digest %x, live are %d with digest %x",
				c.at, ns.Name, c.records[ns.Name], got, ns.Records, ns.Digest)
		}
		for _, rec := range readAll(r.t, v, ns.Name) {
			if folded[rec.ID].Hash != rec.Hash {
				t.Fatalf("folded up to %v, %s/%s has hash %x, want %x", c.at, ns.Name, rec.ID, folded[rec.ID].Hash, rec.Hash)
			}
		}
		records += len(folded)
	}
	for name, folded := range c.records {
		records -= len(folded)
		if records < 0 {
			t.Fatalf("folded up to %v, there is %s with %v", c.at, name, folded)
		}
	}
}
