package fsm

import (
	"regexp"
	"slices"
	"strings"

	"pgregory.net/rapid"
)

// modelAPIKey is an API key of the model's organization.
type modelAPIKey struct {
	scope     Scope
	lifetime  int64
	expiresAt int64 // wall time; 0: never
	revoked   bool
	rotatedTo string
}

// changeKeys decides about a command of keys of the organization.
func (m *model) changeKeys(cmd Command, at Stamp) (outcome Outcome, created bool) {
	m.clusterTime = max(m.clusterTime, at.ClusterTime)
	switch c := cmd.(type) {
	case *KeyCreate:
		if m.apiKeys[c.KeyID] != nil {
			return OK, false
		}
		m.apiKeys[c.KeyID] = newModelAPIKey(c.Scope, int64(c.LifetimeSeconds)*second, at.WallTime)
		return OK, true
	case *KeyRevoke:
		k := m.apiKeys[c.KeyID]
		if k == nil {
			return KeyNotFound, false
		}
		k.revoked = true
		return OK, false
	case *KeyRotate:
		return m.rotateKey(c, at)
	}
	panic("no command of keys")
}

func newModelAPIKey(scope Scope, lifetime, wall int64) *modelAPIKey {
	k := &modelAPIKey{scope: scope, lifetime: lifetime}
	if lifetime != 0 {
		k.expiresAt = wall + lifetime
	}
	return k
}

func (m *model) rotateKey(c *KeyRotate, at Stamp) (outcome Outcome, created bool) {
	if m.apiKeys[c.NewKeyID] != nil {
		return OK, false
	}
	old := m.apiKeys[c.KeyID]
	if outcome := old.usable(at.WallTime); outcome != OK {
		return outcome, false
	}
	m.apiKeys[c.NewKeyID] = newModelAPIKey(old.scope, old.lifetime, at.WallTime)
	old.rotatedTo = c.NewKeyID
	if c.OverlapSeconds == 0 {
		old.revoked = true
	} else if end := at.WallTime + int64(c.OverlapSeconds)*second; old.expiresAt == 0 || old.expiresAt > end {
		old.expiresAt = end
	}
	return OK, true
}

func (k *modelAPIKey) usable(wall int64) Outcome {
	switch {
	case k == nil:
		return KeyNotFound
	case k.revoked:
		return KeyRevoked
	case k.expiresAt != 0 && k.expiresAt <= wall:
		return KeyExpired
	}
	return OK
}

// keyOutcome is why the key of s may not do what s does, or OK.
func (m *model) keyOutcome(s *Sync, wall int64) Outcome {
	k := m.apiKeys[s.KeyID]
	if outcome := k.usable(wall); outcome != OK {
		return outcome
	}
	if !k.covers(s) {
		return KeyScopeDenied
	}
	return OK
}

func (k *modelAPIKey) covers(s *Sync) bool {
	may := func(a KeyActions) bool { return k.scope.Actions == 0 || k.scope.Actions&a == a }
	if len(k.scope.Stores) > 0 && !slices.Contains(k.scope.Stores, s.Store) {
		return false
	}
	if len(s.Operations) == 0 {
		return may(MayUpsert) || may(MayDelete) || may(MayFullRefresh)
	}
	for _, op := range s.Operations {
		needs := map[Action]KeyActions{Upsert: MayUpsert, Delete: MayDelete}[op.Action]
		if s.Mode == FullRefresh {
			needs = MayFullRefresh
		}
		if !may(needs) || !modelMatches(k.scope.Namespaces, op.Namespace) {
			return false
		}
	}
	return true
}

func (k *modelAPIKey) deletes(c *NamespaceDelete) bool {
	return (k.scope.Actions == 0 || k.scope.Actions&MayDeleteNamespace != 0) &&
		(len(k.scope.Stores) == 0 || slices.Contains(k.scope.Stores, c.Store)) && modelMatches(k.scope.Namespaces, c.Namespace)
}

func modelMatches(patterns []string, name string) bool {
	if len(patterns) == 0 {
		return true
	}
	for _, p := range patterns {
		expr := regexp.QuoteMeta(p)
		if strings.HasSuffix(p, "*") {
			expr = regexp.QuoteMeta(p[:len(p)-1]) + ".*"
		}
		if regexp.MustCompile("(?s)^" + expr + "$").MatchString(name) {
			return true
		}
	}
	return false
}

// limitedKeys are made, used and revoked beside testKey, which may do everything.
var limitedKeys = []string{"key_1", "key_2", "key_3", "key_4"}

func drawScope(t *rapid.T) Scope {
	some := func(names ...string) []string {
		list := rapid.SliceOfN(rapid.SampledFrom(names), 0, 2).Draw(t, "some of the names")
		if len(list) == 0 {
			return nil
		}
		return list
	}
	return Scope{
		Actions:    KeyActions(rapid.IntRange(0, int(allKeyActions)).Draw(t, "actions")),
		Stores:     some(testStore, testStore, "vs_b"),
		Namespaces: some("n", "m*", "*", "o*n", "m"),
	}
}

// drawKeyCommand makes, ends or rotates a limited key.
func drawKeyCommand(t *rapid.T) Command {
	id := rapid.SampledFrom(limitedKeys).Draw(t, "key")
	switch rapid.IntRange(0, 5).Draw(t, "what to do") {
	case 0:
		return &KeyRevoke{KeyID: id}
	case 1, 2:
		return &KeyRotate{
			KeyID: id, NewKeyID: rapid.SampledFrom(limitedKeys).Draw(t, "new key"),
			OverlapSeconds: uint32(rapid.SampledFrom([]int{0, 1, 9}).Draw(t, "overlap")),
		}
	}
	return &KeyCreate{KeyID: id, Org: testOrg, Scope: drawScope(t), LifetimeSeconds: uint32(rapid.SampledFrom([]int{0, 0, 1, 9, 30}).Draw(t, "lifetime"))}
}

// drawKeyOf gives some syncs a limited key, which may not be there yet.
func drawKeyOf(t *rapid.T, s *Sync) *Sync {
	if rapid.IntRange(0, 3).Draw(t, "limited key") == 0 {
		s.KeyID = rapid.SampledFrom(limitedKeys).Draw(t, "key")
	}
	return s
}

// keyBoth has model and state machine decide about a command of keys.
func keyBoth(r *rig, m *model, cmd Command) {
	r.t.Helper()
	outcome, created := m.changeKeys(cmd, Stamp{ClusterTime: r.now, WallTime: r.wall})
	if got := r.apply(cmd); got.Outcome != outcome || got.Created != created {
		r.t.Fatalf("%T: outcome %d, created %v, want %d, %v", cmd, got.Outcome, got.Created, outcome, created)
	}
}

func compareKeys(t failer, v *View, m *model) {
	for id, want := range m.apiKeys {
		got, found, err := v.Key(id)
		if err != nil || !found || got.ExpiresAt != want.expiresAt || (got.RevokedAt != 0) != want.revoked ||
			got.RotatedTo != want.rotatedTo || !slices.Equal(got.Scope.Stores, want.scope.Stores) {
			t.Fatalf("key %s: %+v, %v, %v, want %+v", id, got, found, err, want)
		}
	}
	listed, err := v.OrgKeys(testOrg, "", 100)
	if err != nil || len(listed) != len(m.apiKeys) {
		t.Fatalf("%d keys are listed of %d: %v", len(listed), len(m.apiKeys), err)
	}
}
