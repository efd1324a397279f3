package fsm

import (
	"fmt"
	"testing"

	"pipesync/storage"
)

// purgeAll goes on as a leader does until nothing is left.
func purgeAll(t *testing.T, r *rig) (commands int) {
	t.Helper()
	v := r.view()
	sweeps, err := v.PurgeSweeps(10)
	v.Close()
	must(t, err)
	return applySweeps(t, r, sweeps)
}

// The keys of a deleted organization are refused from that entry on, also when
// another organization has taken its name, and what is left of it goes piece by piece.
func TestOrgDelete(t *testing.T) {
	r := smallRig(t)
	for i := range maxPurgeStores {
		r.mustApply(&StoreCreate{Org: testOrg, Store: fmt.Sprint("vs_", i)})
	}
	r.mustApply(newSync(Incremental, upsert("n", "a", "1"), upsert("n", "b", "1")).keyed("k"))
	r.mustApply(newSync(FullRefresh, upsert("n", "c", "1")))
	r.mustApply(&OrgDelete{Org: testOrg})
	refused := func(when string) {
		t.Helper()
		for _, s := range []*Sync{newSync(Incremental, upsert("n", "a", "1")), newSync(Incremental).keyed("k")} {
			if got := r.apply(s).Outcome; got != KeyNotFound {
				t.Errorf("outcome %d of a sync %s", got, when)
			}
		}
		v := r.view()
		defer v.Close()
		if _, found, err := v.Key(testKey); found || err != nil {
			t.Errorf("the key is there %s: %v", when, err)
		}
		if keys, err := v.Keys("", 10); err != nil || len(keys) > 1 {
			t.Errorf("keys %s: %v, %v", when, keys, err)
		}
	}
	refused("after the deletion")
	if got := r.apply(&OrgDelete{Org: testOrg}).Outcome; got != OrgNotFound {
		t.Errorf("outcome %d of a second deletion", got)
	}
	r.mustApply(&KeyCreate{KeyID: "key_new", Org: testOrg, DefaultStore: testStore})
	refused("of the next organization of the name")
	s := newSync(Incremental, upsert("n", "z", "1"))
	s.KeyID = "key_new"
	r.mustApply(s)
	before := stateOf(t, r)
	if s := scrubOf(t, r.fsm); len(s.Problems) > 0 {
		t.Errorf("of what is counted: %q", s.Problems)
	}
	// A reconcile that is on its way changes nothing that counts.
	r.mustApply(&Reconcile{Store: 1, Namespace: "n", Generation: 1})
	if n := purgeAll(t, r); n != 2 {
		t.Errorf("%d commands", n)
	}
	refused("after the purge")
	if got := stateOf(t, r); got != before {
		t.Errorf("%s, was %s", got, before)
	}
	v := r.view()
	defer v.Close()
	must(t, v.snapshot.ScanKeys("", 10, func(id string, _ storage.Key) error {
		if id != "key_new" {
			t.Errorf("key %s is left", id)
		}
		return nil
	}))
	must(t, v.snapshot.ScanFingerprints(1, 1, 2, "", 10, func(id string, _ storage.Fingerprint) error {
		t.Errorf("record %s is left", id)
		return nil
	}))
	if _, found, err := v.snapshot.Key(testKey); found || err != nil {
		t.Errorf("the key's row is left: %v", err)
	}
}

// stateOf is what the test's organization has now.
func stateOf(t *testing.T, r *rig) string {
	t.Helper()
	v := r.view()
	defer v.Close()
	usage, err := v.Usage()
	must(t, err)
	return fmt.Sprintf("%+v %+v", usage, readAll(t, v, "n"))
}

// A key whose id is another organization's by now survives the purge.
func TestPurgeLeavesOtherKeys(t *testing.T) {
	r := smallRig(t)
	r.mustApply(&OrgDelete{Org: testOrg})
	r.mustApply(&KeyCreate{KeyID: testKey, Org: "org_b", DefaultStore: testStore})
	purgeAll(t, r)
	v := r.view()
	defer v.Close()
	if key, found, err := v.Key(testKey); !found || err != nil || key.Org != "org_b" {
		t.Errorf("%+v, %v, %v", key, found, err)
	}
}
