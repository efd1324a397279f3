package fsm

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pipesync/storage"
)

func names[T any](list []T, name func(T) string) (out []string) {
	for _, e := range list {
		out = append(out, name(e))
	}
	return out
}

func TestListsArePaged(t *testing.T) {
	r := newRig(t)
	r.setUp(10)
	r.mustApply(&KeyCreate{KeyID: "key_b", Org: "org_b", DefaultStore: "vs_a"})
	r.mustApply(&KeyCreate{KeyID: "key_c", Org: testOrg})
	r.mustApply(&StoreCreate{Org: testOrg, Store: "vs_b"})
	r.mustApply(newSync(Incremental, upsert("n/1", "a", "1"), upsert("n/2", "a", "1"), upsert("n", "a/b", "1"), upsert("n", "..", "1")))
	v := r.view()
	defer v.Close()
	check := func(what string, got []string, err error, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %s, %v", what, diff, err)
		}
	}
	keyID := func(k KeyInfo) string { return k.ID }
	keys, err := v.Keys("", 2)
	check("first keys", names(keys, keyID), err, testKey, "key_b")
	keys, err = v.Keys("key_b", 2)
	check("next keys", names(keys, keyID), err, "key_c")
	keys, err = v.OrgKeys("org_b", "", 1)
	check("keys of an organization", names(keys, keyID), err, "key_b")
	keys, err = v.OrgKeys(testOrg, testKey, 5)
	check("next keys of an organization", names(keys, keyID), err, "key_c")
	keys, err = v.OrgKeys("org_missing", "", 5)
	check("keys of a missing organization", names(keys, keyID), err)
	stores, err := v.Stores(testOrg, "vs_a", 5)
	check("stores", names(stores, func(s StoreInfo) string { return s.Name }), err, "vs_b")
	orgs, err := v.Orgs("", 1)
	check("organizations", names(orgs, func(o OrgInfo) string { return o.Name }), err, testOrg)
	spaces, err := v.Namespaces(testOrg, testStore, Scope{}, "n", 1)
	check("namespaces", names(spaces, func(n NamespaceInfo) string { return n.Name }), err, "n/1")
	recs, err := readPage(v, testOrg, testStore, "n", 0, "", 5)
	check("records", names(recs, func(r Record) string { return r.ID }), err, "..", "a/b")
}

func TestWhatIsMissing(t *testing.T) {
	r := newRig(t)
	r.setUp(10)
	r.mustApply(newSync(Incremental, upsert("n", "a", "1"), remove("n", "gone")))
	v := r.view()
	defer v.Close()
	for _, c := range []struct {
		org, store, ns, id string
		want               error
	}{
		{"org_x", testStore, "n", "a", ErrStoreNotFound},
		{testOrg, "vs_x", "n", "a", ErrStoreNotFound},
		{testOrg, testStore, "x", "a", ErrNamespaceNotFound},
		{testOrg, testStore, "n", "gone", nil},
		{testOrg, testStore, "n", "x", nil},
	} {
		if _, err := readPage(v, c.org, c.store, c.ns, 0, "", 1); !errors.Is(err, c.want) {
			t.Errorf("records of %v: %v", c, err)
		}
		if _, found, err := v.Namespace(c.org, c.store, c.ns); found != (c.want == nil) || err != nil {
			t.Errorf("namespace of %v: %v, %v", c, found, err)
		}
		if _, found, err := v.Record(c.org, c.store, c.ns, c.id); found || err != nil {
			t.Errorf("record of %v: %v, %v", c, found, err)
		}
		if _, err := v.Namespaces(c.org, c.store, Scope{}, "", 1); !errors.Is(err, ErrStoreNotFound) && errors.Is(c.want, ErrStoreNotFound) {
			t.Errorf("namespaces of %v: %v", c, err)
		}
	}
}

func TestGenerations(t *testing.T) {
	r := newRig(t)
	r.setUp(10)
	generation := func() storage.Generation {
		v := r.view()
		defer v.Close()
		info, _, err := v.Namespace(testOrg, testStore, "n")
		must(t, err)
		for gen := range info.Generation + 2 {
			_, err := readPage(v, testOrg, testStore, "n", gen, "", 10)
			if live := gen == 0 || gen == info.Generation; errors.Is(err, ErrGenerationGone) == live {
				t.Errorf("generation %d of %d: %v", gen, info.Generation, err)
			}
		}
		return info.Generation
	}
	steps := []struct {
		mode Mode
		want storage.Generation
	}{{Incremental, 1}, {Incremental, 1}, {FullRefresh, 2}, {Incremental, 2}, {FullRefresh, 3}}
	for i, s := range steps {
		r.mustApply(newSync(s.mode, upsert("n", "a", "1")))
		if got := generation(); got != s.want {
			t.Errorf("step %d: generation %d, want %d", i, got, s.want)
		}
	}
}

func TestCheckSyncAdmits(t *testing.T) {
	r := newRig(t)
	v := r.view()
	h := Header{Kind: KindSync, SyncID: "sync_1", Org: testOrg, KeyID: testKey, Store: testStore}
	if got, _, err := v.CheckSync(h, Outline{}, Stamp{}); err != nil || got == nil || got.Outcome != NotBootstrapped {
		t.Errorf("before bootstrap: %+v, %v", got, err)
	}
	v.Close()
	r.setUp(1)
	v = r.view()
	defer v.Close()
	if got, _, err := v.CheckSync(h, Outline{}, Stamp{}); got != nil || err != nil {
		t.Errorf("%+v, %v", got, err)
	}
	if _, _, err := v.CheckSync(Header{Kind: KindKeyRevoke}, Outline{}, Stamp{}); err == nil {
		t.Error("a header of another kind was checked")
	}
}
