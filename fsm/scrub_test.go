package fsm

import (
	"errors"
	"strings"
	"testing"

	"pipesync/storage"
)

func freely(int) error { return nil }

func scrubOf(t testing.TB, f *FSM) Scrub {
	t.Helper()
	v, err := f.View()
	must(t, err)
	defer v.Close()
	s, err := v.Scrub(freely)
	must(t, err)
	return s
}

func TestScrubFindsWhatContradicts(t *testing.T) {
	var a storage.Fingerprint // of the record a
	for name, c := range map[string]struct {
		spoil func(*storage.Batch)
		want  []string
	}{
		"a fingerprint that is lost": {func(b *storage.Batch) { b.DeleteFingerprint(1, 1, 1, "a") },
			[]string{"1 live fingerprints, and should have 2", "2 bytes by its fingerprints, and should have 4", "3 bytes by its contents, and should have 4", "the digest"}},
		"a content that is lost": {func(b *storage.Batch) { b.DeleteContent(1, 1, 1, a.Changed) },
			[]string{"1 contents, and should have 2", "3 bytes by its contents, and should have 4"}},
		"a content of another size": {func(b *storage.Batch) {
			b.PutContent(1, 1, 1, a.Changed, storage.Content{Data: []byte("1"), File: []byte("2"), SourceSystem: []byte("3"), CreatedAt: []byte("4"), UpdatedAt: []byte("5")})
		}, []string{"8 bytes by its contents, and should have 4"}},
		"a size in a fingerprint": {func(b *storage.Batch) {
			b.PutFingerprint(1, 1, 1, "a", storage.Fingerprint{Hash: testHash("1"), Size: 7})
		}, []string{"9 bytes by its fingerprints, and should have 4"}},
		"the usage of a store": {func(b *storage.Batch) { b.PutUsage(1, 1, storage.Usage{}) },
			[]string{"organization 1, store 1 is 0 records of 0 bytes, 0 tombstones, 0 namespaces, digest 00000000000000000000000000000000, and should be 3 records of 6 bytes, 1 tombstones, 2 namespaces, digest "}},
		"the usage of an organization": {func(b *storage.Batch) { b.PutUsage(1, 0, storage.Usage{Tombstones: 7}) }, []string{"organization 1, store 0 is "}},
		"the usage of all":             {func(b *storage.Batch) { b.PutUsage(0, 0, storage.Usage{Namespaces: 7}) }, []string{"organization 0, store 0 is "}},
		"the usage of nothing":         {func(b *storage.Batch) { b.PutUsage(1, 9, storage.Usage{Records: 1}) }, []string{"organization 1, store 9 is "}},
		"a tombstone that is lost":     {func(b *storage.Batch) { b.DeleteFingerprint(1, 1, 1, "c") }, []string{"0 tombstones, and should have 1"}},
		"another hash": {func(b *storage.Batch) {
			b.PutFingerprint(1, 1, 1, "a", storage.Fingerprint{Hash: testHash("2"), Size: 2})
		}, []string{"the digest"}},
		"another namespace's": {func(b *storage.Batch) {
			b.PutNamespace(1, "m", storage.Namespace{Num: 2, Live: 1, Next: 2, Count: 7, Bytes: 2, Org: 1})
		}, []string{"namespace 2 of store 1 has 1 live", "contents", "the digest", "organization 0, store 0", "organization 1, store 0", "organization 1, store 1"}},
		// The rest is read all the same, and hashed.
		"a row that can't be read": {func(b *storage.Batch) { b.PutRetired(1, 0, 1, storage.Retired{}) }, []string{"decode key"}},
		"of no live generation": {func(b *storage.Batch) {
			b.PutFingerprint(1, 1, 9, "a", storage.Fingerprint{Hash: testHash("2")})
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.setUp(10)
			r.mustApply(newSync(Incremental, upsert("n", "a", "1"), upsert("n", "b", "1"), remove("n", "c"), upsert("m", "a", "1")))
			before := scrubOf(t, r.fsm)
			must(t, r.fsm.current.db.Fingerprints(1, 1, 1, []string{"a"}, func(_ int, f storage.Fingerprint, _ bool) error { a = f; return nil }))
			b := r.fsm.current.db.NewBatch()
			c.spoil(b)
			must(t, b.Commit())
			must(t, b.Close())
			after := scrubOf(t, r.fsm)
			if after.Hash == before.Hash {
				t.Error("the hash is as it was")
			}
			if len(after.Problems) != len(c.want) {
				t.Fatalf("problems %q, want %q", after.Problems, c.want)
			}
			for i, want := range c.want {
				if !strings.Contains(after.Problems[i], want) {
					t.Errorf("problem %q, want %q", after.Problems[i], want)
				}
			}
		})
	}
}

func TestProblemsOfAScrubAreBounded(t *testing.T) {
	var s Scrub
	for range maxScrubProblems + 5 {
		s.complain("x")
	}
	if len(s.Problems) != maxScrubProblems {
		t.Errorf("%d problems", len(s.Problems))
	}
}

func TestAScrubEndsWhenItsPaceDoes(t *testing.T) {
	r := newRig(t)
	r.setUp(10)
	v := r.view()
	defer v.Close()
	enough := errors.New("enough")
	bytes := 0
	_, err := v.Scrub(func(n int) error {
		bytes += n
		return enough
	})
	if !errors.Is(err, enough) || bytes == 0 {
		t.Errorf("%v after %d bytes", err, bytes)
	}
}

// A state that is restored is told of, before anything else is applied.
func TestRestoresAreTold(t *testing.T) {
	r := &rig{t: t, dir: t.TempDir(), next: 10, wall: testWall}
	told := 0
	r.opts = func(o *Options) { o.Restored = func() { told++ } }
	r.open()
	defer r.close()
	r.setUp(10)
	stream := r.snapshot()
	if told != 0 {
		t.Error("told of a snapshot")
	}
	must(t, r.restore(stream))
	if told != 1 {
		t.Errorf("told %d times", told)
	}
}
