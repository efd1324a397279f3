package fsm

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"pipesync/storage"
)

// TestRotate: the old key ends when the overlap does, the new one may do the same
// for as long as the old one was made for.
func TestRotate(t *testing.T) {
	scope := storage.Scope{Actions: MayUpsert, Stores: []string{testStore}, Namespaces: []string{"n*"}}
	old := storage.Key{
		Org: testOrg, Name: "loader", SecretHash: [32]byte{1}, DefaultStore: testStore, Scope: scope,
		CreatedAt: testWall, ExpiresAt: testWall + 100*second, LifetimeSeconds: 100,
	}
	fresh := old
	fresh.SecretHash, fresh.CreatedAt, fresh.ExpiresAt = [32]byte{2}, testWall+60*second, testWall+160*second
	old.RotatedTo = "key_new"
	for name, c := range map[string]struct {
		overlap uint32
		want    func(*storage.Key)
	}{
		"with an overlap":    {30, func(k *storage.Key) { k.ExpiresAt = testWall + 90*second }},
		"never later":        {50, func(k *storage.Key) {}},
		"without any":        {0, func(k *storage.Key) { k.RevokedAt = testWall + 60*second }},
		"not a moment later": {40, func(k *storage.Key) {}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.setUp(10)
			r.mustApply(&KeyCreate{
				KeyID: "key_old", Org: testOrg, Name: "loader", SecretHash: [32]byte{1}, DefaultStore: testStore, Scope: Scope(scope), LifetimeSeconds: 100,
			})
			r.wall += 60 * second
			if got := r.mustApply(&KeyRotate{KeyID: "key_old", NewKeyID: "key_new", SecretHash: [32]byte{2}, OverlapSeconds: c.overlap}); !got.Created {
				t.Error("no key was made")
			}
			want := old
			c.want(&want)
			v := r.view()
			defer v.Close()
			keys, err := v.OrgKeys(testOrg, testKey, 10)
			if diff := cmp.Diff([]KeyInfo{{"key_new", fresh}, {"key_old", want}}, keys); diff != "" || err != nil {
				t.Error(diff, err)
			}
		})
	}
}

func TestRotateRefusals(t *testing.T) {
	r := newRig(t)
	r.setUp(10)
	r.mustApply(&KeyCreate{KeyID: "key_short", Org: testOrg, LifetimeSeconds: 1})
	r.mustApply(&KeyCreate{KeyID: "key_gone", Org: testOrg})
	r.mustApply(&KeyRevoke{KeyID: "key_gone"})
	r.wall += second
	for _, c := range []struct {
		key, to string
		want    Outcome
		created bool
	}{
		{"key_none", "key_1", KeyNotFound, false},
		{"key_gone", "key_1", KeyRevoked, false},
		{"key_short", "key_1", KeyExpired, false},
		{testKey, "key_short", OK, false}, // whoever's that is
		{testKey, testKey, OK, false},
		{testKey, "key_1", OK, true},
		{testKey, "key_1", OK, false}, // the same proposal again, when the key has ended
		{testKey, "key_2", KeyRevoked, false},
		{"key_1", "key_2", OK, true},
	} {
		got := r.apply(&KeyRotate{KeyID: c.key, NewKeyID: c.to})
		if got.Outcome != c.want || got.Created != c.created {
			t.Errorf("%s to %s: %+v", c.key, c.to, got)
		}
	}
	if got := r.apply(newSync(Incremental)); got.Outcome != KeyRevoked {
		t.Errorf("the rotated key: outcome %d", got.Outcome)
	}
	s := newSync(Incremental)
	s.KeyID = "key_2"
	if got := r.apply(s); got.Outcome != OK {
		t.Errorf("the new key: outcome %d", got.Outcome)
	}
}
