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
	expiresAt int64 // wall time; 0: never
	revoked   bool
}

func (m *model) createKey(c *KeyCreate, at Stamp) {
	m.clusterTime = max(m.clusterTime, at.ClusterTime)
	if c.Org != testOrg || m.apiKeys[c.KeyID] != nil {
		return
	}
	k := &modelAPIKey{scope: c.Scope}
	if c.LifetimeSeconds != 0 {
		k.expiresAt = at.WallTime + int64(c.LifetimeSeconds)*second
	}
	m.apiKeys[c.KeyID] = k
}

func (m *model) revokeKey(c *KeyRevoke, at Stamp) {
	m.clusterTime = max(m.clusterTime, at.ClusterTime)
	if k := m.apiKeys[c.KeyID]; k != nil {
		k.revoked = true
	}
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
var limitedKeys = []string{"key_1", "key_2", "key_3"}

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

// drawKeyCommand makes or ends a limited key.
func drawKeyCommand(t *rapid.T) Command {
	id := rapid.SampledFrom(limitedKeys).Draw(t, "key")
	if rapid.IntRange(0, 5).Draw(t, "revoke") == 0 {
		return &KeyRevoke{KeyID: id}
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
	at := Stamp{ClusterTime: r.now, WallTime: r.wall}
	switch c := cmd.(type) {
	case *KeyCreate:
		m.createKey(c, at)
	case *KeyRevoke:
		m.revokeKey(c, at)
	}
	r.apply(cmd)
}

func compareKeys(t failer, v *View, m *model) {
	for id, want := range m.apiKeys {
		got, found, err := v.Key(id)
		if err != nil || !found || got.ExpiresAt != want.expiresAt || (got.RevokedAt != 0) != want.revoked {
			t.Fatalf("key %s: %+v, %v, %v, want %+v", id, got, found, err, want)
		}
	}
	listed, err := v.OrgKeys(testOrg, "", 100)
	if err != nil || len(listed) != len(m.apiKeys) {
		t.Fatalf("%d keys are listed of %d: %v", len(listed), len(m.apiKeys), err)
	}
}
