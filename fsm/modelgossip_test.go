package fsm

import (
	"fmt"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"pipesync/storage"
)

// modelRing is the keys of gossip: the one in use, the one that is to be, and whether
// that is the one in use by now.
type modelRing struct {
	revision uint64
	old, new *storage.GossipRingKey // new is nil but in a rotation
	switched bool
}

func (g *modelRing) ring() storage.GossipRing {
	switch {
	case g.old == nil:
		return storage.GossipRing{}
	case g.new == nil:
		return storage.GossipRing{Revision: g.revision, Keys: []storage.GossipRingKey{*g.old}}
	case g.switched:
		return storage.GossipRing{Revision: g.revision, Keys: []storage.GossipRingKey{*g.old, *g.new}, Primary: 1}
	}
	return storage.GossipRing{Revision: g.revision, Keys: []storage.GossipRingKey{*g.old, *g.new}}
}

// changeGossip decides about a command of gossip keys, and about the version that has
// to be raised before there are any.
func (m *model) changeGossip(cmd Command, at Stamp) (outcome Outcome, created bool) {
	m.clusterTime = max(m.clusterTime, at.ClusterTime)
	if c, ok := cmd.(*VersionRaise); ok {
		created = c.Version > m.version
		m.version = max(m.version, c.Version)
		return OK, created
	}
	if m.version < 2 {
		return VersionTooLow, false
	}
	g := &m.ring
	switch c := cmd.(type) {
	case *GossipKeyAdd:
		key := &storage.GossipRingKey{Key: c.Key, AddedAt: at.WallTime}
		if c.First {
			if g.old != nil {
				return OK, false
			}
			g.old = key
			break
		}
		if g.old == nil {
			return NoGossipKeys, false
		}
		if g.old.Key == c.Key || g.new != nil && g.new.Key == c.Key {
			return OK, false
		}
		if g.new != nil {
			return GossipKeyRotating, false
		}
		g.new, g.switched = key, false
	case *GossipKeyAdvance:
		if g.new == nil || g.revision != c.Revision {
			return OK, false
		}
		if g.switched {
			g.old, g.new = g.new, nil
		}
		g.switched = !g.switched
	default:
		panic("no command of gossip keys")
	}
	g.revision++
	return OK, true
}

// drawGossipCommand is about a ring that was at revision, as far as is known.
func drawGossipCommand(t *rapid.T, revision uint64) Command {
	switch rapid.IntRange(0, 5).Draw(t, "what to do with the gossip keys") {
	case 0:
		return &VersionRaise{Version: uint32(rapid.IntRange(1, MaxClusterVersion).Draw(t, "version"))}
	case 1:
		return &GossipKeyAdd{Key: drawGossipKey(t), First: true}
	case 2, 3:
		return &GossipKeyAdd{Key: drawGossipKey(t)}
	}
	return &GossipKeyAdvance{Revision: max(1, revision+uint64(rapid.SampledFrom([]int{0, 0, 0, 1, math.MaxInt64}).Draw(t, "ahead")))}
}

func drawGossipKey(t *rapid.T) storage.GossipKey {
	return storage.GossipKey{byte(rapid.IntRange(1, 3).Draw(t, "gossip key"))}
}

// gossipBoth has model and state machine decide about a command of gossip keys.
func gossipBoth(r *rig, m *model, cmd Command) {
	r.t.Helper()
	outcome, created := m.changeGossip(cmd, Stamp{ClusterTime: r.now, WallTime: r.wall})
	if got := r.apply(cmd); got.Outcome != outcome || got.Created != created {
		r.t.Fatalf("%T: outcome %d, created %v, want %d, %v", cmd, got.Outcome, got.Created, outcome, created)
	}
}

func compareGossip(t failer, v *View, m *model) {
	got, err := v.GossipRing()
	if diff := cmp.Diff(m.ring.ring(), got); diff != "" || err != nil {
		t.Fatalf("gossip ring (-want +got): %s, %v", diff, err)
	}
	if v.System().ClusterVersion != m.version {
		t.Fatalf("cluster version %d, want %d", v.System().ClusterVersion, m.version)
	}
}

// A rotation ends with one key again, whoever goes on with it, and there is one at a time.
func TestGossipKeyRotation(t *testing.T) {
	r := newRig(t)
	r.setUp(10)
	ring := func() string {
		v := r.view()
		defer v.Close()
		g, err := v.GossipRing()
		must(t, err)
		var keys []byte
		for _, k := range g.Keys {
			keys = append(keys, k.Key[0])
		}
		return fmt.Sprint(g.Revision, keys, g.Primary)
	}
	key := func(b byte) storage.GossipKey { return storage.GossipKey{b} }
	for _, step := range []struct {
		cmd     Command
		outcome Outcome
		created bool
		ring    string
	}{
		{&GossipKeyAdd{Key: key(1), First: true}, VersionTooLow, false, "0 [] 0"},
		{&VersionRaise{Version: MaxClusterVersion}, OK, true, "0 [] 0"},
		{&GossipKeyAdd{Key: key(1)}, NoGossipKeys, false, "0 [] 0"},
		{&GossipKeyAdvance{Revision: 1}, OK, false, "0 [] 0"},
		{&GossipKeyAdd{Key: key(1), First: true}, OK, true, "1 [1] 0"},
		{&GossipKeyAdd{Key: key(2), First: true}, OK, false, "1 [1] 0"},
		{&GossipKeyAdvance{Revision: 1}, OK, false, "1 [1] 0"},
		{&GossipKeyAdd{Key: key(1)}, OK, false, "1 [1] 0"},
		{&GossipKeyAdd{Key: key(2)}, OK, true, "2 [1 2] 0"},
		{&GossipKeyAdd{Key: key(3)}, GossipKeyRotating, false, "2 [1 2] 0"},
		{&GossipKeyAdd{Key: key(2)}, OK, false, "2 [1 2] 0"},
		{&GossipKeyAdvance{Revision: 1}, OK, false, "2 [1 2] 0"},
		{&GossipKeyAdvance{Revision: 3}, OK, false, "2 [1 2] 0"},
		{&GossipKeyAdvance{Revision: 2}, OK, true, "3 [1 2] 1"},
		{&GossipKeyAdvance{Revision: 2}, OK, false, "3 [1 2] 1"},
		{&GossipKeyAdd{Key: key(3)}, GossipKeyRotating, false, "3 [1 2] 1"},
		{&GossipKeyAdvance{Revision: 3}, OK, true, "4 [2] 0"},
		{&GossipKeyAdvance{Revision: 4}, OK, false, "4 [2] 0"},
		{&GossipKeyAdd{Key: key(1)}, OK, true, "5 [2 1] 0"},
	} {
		if got := r.apply(step.cmd); got.Outcome != step.outcome || got.Created != step.created || ring() != step.ring {
			t.Fatalf("%T: outcome %d, created %v, ring %s, want %+v", step.cmd, got.Outcome, got.Created, ring(), step)
		}
	}
}
