package storage

import (
	"slices"
	"testing"
)

// TestChain shows what the chain tells apart: everything that a batch does, and
// the order of it.
func TestChain(t *testing.T) {
	db := openMem(t)
	after := func(before System, steps ...func(*Batch)) uint64 {
		b := db.NewBatch()
		defer func() { check(t, b.Close()) }()
		for _, step := range steps {
			step(b)
		}
		b.SetSystem(&before)
		return before.Chain
	}
	one := func(b *Batch) { b.PutOrg("o", Org{Num: 1}) }
	two := func(b *Batch) { b.PutOrg("o", Org{Num: 2}) }
	gone := func(b *Batch) { b.DeleteFingerprint(1, 2, 3, "i") }
	seen := []uint64{
		after(System{}),
		after(System{Chain: 1}),
		after(System{AppliedIndex: 1}),
		after(System{}, one),
		after(System{}, two),
		after(System{}, one, two),
		after(System{}, two, one),
		after(System{}, one, one),
		after(System{}, gone),
		after(System{}, func(b *Batch) { b.DeleteContent(1, 2, 3, Seq{4, 5}) }),
		after(System{}, func(b *Batch) { b.DropGeneration(1, 2, 3) }),
		after(System{}, func(b *Batch) { b.DropGeneration(1, 2, 4) }),
		after(System{}, func(b *Batch) { b.PutKey("o", Key{}) }),
		after(System{}, func(b *Batch) { b.PutKey("k", Key{Org: "o"}) }),
		after(System{}, func(b *Batch) { b.PutKey("ko", Key{}) }),
	}
	if got := after(System{}, one, two); got != seen[5] {
		t.Errorf("the same batch gave %x and %x", seen[5], got)
	}
	for i, chain := range seen {
		if slices.Contains(seen[:i], chain) {
			t.Errorf("batch %d has the chain of another", i)
		}
	}
}

// TestChainIsPinned: nodes of different versions must agree.
func TestChainIsPinned(t *testing.T) {
	db := openMem(t)
	s := System{AppliedIndex: 7, Chain: 1}
	write(t, db, func(b *Batch) {
		b.PutOrg("org_acme", Org{Num: 1, CreatedAt: 2})
		b.DeleteFingerprint(1, 2, 3, "i")
		b.DropGeneration(1, 2, 3)
		b.SetSystem(&s)
	})
	if want := uint64(0x838703d1f2206063); s.Chain != want {
		t.Errorf("chain %#x, want %#x", s.Chain, want)
	}
	got, err := db.System()
	check(t, err)
	if got != s {
		t.Errorf("stored %+v, want %+v", got, s)
	}
}

func TestNothingFollowsTheSystemRow(t *testing.T) {
	db := openMem(t)
	b := db.NewBatch()
	defer func() {
		if recover() == nil {
			t.Error("a row was added behind the system row, and no chain knows it")
		}
		check(t, b.Close())
	}()
	b.SetSystem(&System{})
	b.PutOrg("o", Org{})
}
