package fsm

import (
	"testing"

	"pgregory.net/rapid"

	"pipesync/storage"
)

// changeAdminToken decides about another admin token of the cluster.
func (m *model) changeAdminToken(c *AdminTokenSet, at Stamp) (outcome Outcome, created bool) {
	m.clusterTime = max(m.clusterTime, at.ClusterTime)
	switch {
	case m.version < 2:
		return VersionTooLow, false
	case m.settings.AdminTokenHash == c.Hash:
		return OK, false
	}
	m.settings.AdminTokenHash = c.Hash
	m.tokenChange = storage.AdminTokenChange{Changes: m.tokenChange.Changes + 1, ChangedAt: at.WallTime}
	return OK, true
}

func drawAdminTokenSet(t *rapid.T) *AdminTokenSet {
	return &AdminTokenSet{Hash: [32]byte{byte(rapid.IntRange(5, 7).Draw(t, "admin token"))}} // 5: the first
}

// adminTokenBoth has model and state machine decide about an admin token.
func adminTokenBoth(r *rig, m *model, cmd *AdminTokenSet) {
	r.t.Helper()
	outcome, created := m.changeAdminToken(cmd, Stamp{ClusterTime: r.now, WallTime: r.wall})
	if got := r.apply(cmd); got.Outcome != outcome || got.Created != created {
		r.t.Fatalf("%T: outcome %d, created %v, want %d, %v", cmd, got.Outcome, got.Created, outcome, created)
	}
}

func compareAdminToken(t failer, v *View, m *model) {
	set, _, err := v.Settings()
	if err != nil || set.AdminTokenHash != m.settings.AdminTokenHash {
		t.Fatalf("the admin token is %x, want %x: %v", set.AdminTokenHash, m.settings.AdminTokenHash, err)
	}
	change, err := v.AdminTokenChange()
	if err != nil || change != m.tokenChange {
		t.Fatalf("the admin token was changed %+v, want %+v: %v", change, m.tokenChange, err)
	}
}

// One that is set again changes nothing: whoever sets it may have lost the answer.
func TestAdminTokenIsSet(t *testing.T) {
	r := newRig(t)
	r.setUp(10)
	second := [32]byte{8}
	first := testBootstrap(10).Settings.AdminTokenHash
	for _, step := range []struct {
		cmd     Command
		outcome Outcome
		created bool
		hash    [32]byte
		changes uint64
	}{
		{&AdminTokenSet{Hash: second}, VersionTooLow, false, first, 0},
		{&VersionRaise{Version: MaxClusterVersion}, OK, true, first, 0},
		{&AdminTokenSet{Hash: first}, OK, false, first, 0},
		{&AdminTokenSet{Hash: second}, OK, true, second, 1},
		{&AdminTokenSet{Hash: second}, OK, false, second, 1},
		{&AdminTokenSet{Hash: first}, OK, true, first, 2},
		{&SettingsSet{Figures: []FigureValue{{1, 7}}}, OK, false, first, 2},
	} {
		got := r.apply(step.cmd)
		v := r.view()
		set, _, err := v.Settings()
		must(t, err)
		change, err := v.AdminTokenChange()
		must(t, err)
		v.Close()
		if got.Outcome != step.outcome || got.Created != step.created || set.AdminTokenHash != step.hash || change.Changes != step.changes {
			t.Fatalf("%T: outcome %d, created %v, token %x, %d changes, want %+v", step.cmd, got.Outcome, got.Created, set.AdminTokenHash, change.Changes, step)
		}
	}
}
