package cluster

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"
	"pgregory.net/rapid"
)

// testKeys has the ring in the entries "key first KEY", "key add KEY" and "key advance
// REVISION", as the state machine of the product decides about its own.
type testKeys struct {
	sm    atomic.Pointer[bytelog]
	first atomic.Pointer[[]byte] // nil: not yet
}

func (k *testKeys) Ring() (ring GossipRing) {
	sm := k.sm.Load()
	if sm == nil {
		return ring
	}
	for _, body := range sm.bodies() {
		var what, arg string
		if n, _ := fmt.Sscanf(body, "key %s %s", &what, &arg); n != 2 {
			continue
		}
		key, _ := hex.DecodeString(arg)
		switch {
		case what == "first" && ring.Revision == 0, what == "add" && len(ring.Keys) == 1:
			ring.Keys = append(ring.Keys, key)
		case what == "advance" && arg == fmt.Sprint(ring.Revision) && len(ring.Keys) == 2:
			// Of each three revisions the second has a new key, and the third begins with it.
			if ring.Revision%3 == 2 {
				ring.Keys = [][]byte{ring.Keys[1], ring.Keys[0]}
			} else {
				ring.Keys = ring.Keys[:1]
			}
		default:
			continue
		}
		ring.Revision++
	}
	return ring
}

func (k *testKeys) First() ([]byte, error) {
	if key := k.first.Load(); key != nil {
		return fmt.Appendf(nil, "key first %x", *key), nil
	}
	return nil, nil
}

func (k *testKeys) Advance(revision uint64) ([]byte, error) {
	return fmt.Appendf(nil, "key advance %d", revision), nil
}

func testKey(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }

// garbled counts what gossip could not decrypt.
type garbled struct {
	slog.Handler
	count *atomic.Int64
}

func (g garbled) Enabled(context.Context, slog.Level) bool { return true }

func (g garbled) Handle(ctx context.Context, r slog.Record) error {
	if strings.Contains(strings.ToLower(r.Message), "decrypt") {
		g.count.Add(1)
	}
	if !g.Handler.Enabled(ctx, r.Level) {
		return nil
	}
	return g.Handler.Handle(ctx, r)
}

func (g garbled) WithAttrs(a []slog.Attr) slog.Handler {
	return garbled{g.Handler.WithAttrs(a), g.count}
}

// ringed is a cluster whose keys are in its log.
type ringed struct {
	t       *testing.T
	all     []*member
	keys    []*testKeys
	garbled atomic.Int64
}

// newRinged forms a cluster of three that has the key configured, nil: none, and is
// given its first.
func newRinged(t *testing.T, configured, first []byte, change ...func(*Config)) *ringed {
	t.Helper()
	r := &ringed{t: t}
	r.all = newCluster(t, 3, append([]func(*Config){patient, func(c *Config) {
		k := &testKeys{}
		if first != nil {
			k.first.Store(&first)
		}
		r.keys = append(r.keys, k)
		c.GossipKeys, c.GossipKey = k, configured
		c.exchangeInterval, c.gossipSuspicion = 50*time.Millisecond, 30
		c.Logger = slog.New(garbled{c.Logger.Handler(), &r.garbled})
	}}, change...)...)
	for i, m := range r.all {
		r.keys[i].sm.Store(m.sm)
	}
	return r
}

// alive says whether each of those sees all of them.
func alive(all []*member) bool {
	for _, m := range all {
		members, err := m.Members()
		if err != nil {
			return false
		}
		for _, other := range all {
			if !slices.ContainsFunc(members, func(o Member) bool { return o.ID == other.name() && o.Alive }) {
				return false
			}
		}
	}
	return true
}

// hold says whether each of those holds the ring of the revision, with the keys, and
// knows that of all of them.
func hold(all []*member, revision uint64, keys ...[]byte) bool {
	want := (GossipRing{revision, keys}).held()
	for _, m := range all {
		if h := m.holdRing(); h == nil || h.Revision != revision || !slices.Equal(h.Keys, want.Keys) {
			return false
		}
		members, err := m.Members()
		if err != nil {
			return false
		}
		for _, other := range members {
			if slices.ContainsFunc(all, func(m *member) bool { return m.name() == other.ID }) && !slices.Equal(other.GossipKeys, want.Keys) {
				return false
			}
		}
	}
	return true
}

// watch returns what ends it and says whether each member has seen all others alive.
func watch(all []*member) (stop func() bool) {
	done, ended := make(chan struct{}), make(chan bool, 1)
	go func() {
		always := true
		for {
			always = always && alive(all)
			select {
			case <-done:
				ended <- always
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	return sync.OnceValue(func() bool { close(done); return <-ended })
}

// stranger tries to gossip with a member by a key, and is no member itself.
func (r *ringed) stranger(to *member, key []byte) error {
	r.t.Helper()
	cfg := testConfig(r.t, "stranger")
	cfg.setDefaults()
	var p ports
	if err := p.bindGossip(cfg); err != nil {
		r.t.Fatal(err)
	}
	g := newGossip(cfg, identity{NodeID: cfg.NodeID, ClusterID: to.Status().ClusterID}, p)
	defer func() { _ = g.stop(cfg.Logger) }()
	if err := g.use(GossipRing{Keys: [][]byte{key}}); err != nil {
		r.t.Fatal(err)
	}
	list, _ := g.started()
	_, err := list.Join([]string{to.ports.gossipAdvertise})
	return err
}

// stalled has a member apply nothing from the entry on, until goOn.
func stalled(m *member, entry string) (reached <-chan struct{}, goOn func()) {
	at, on := make(chan struct{}), make(chan struct{})
	reach, release := sync.OnceFunc(func() { close(at) }), sync.OnceFunc(func() { close(on) })
	m.sm.setStall(func(body []byte) {
		if string(body) == entry {
			reach()
			<-on
		}
	})
	m.t.Cleanup(release)
	return at, release
}

// Nobody loses sight of anybody while the key is rotated, however late one of them is
// and whoever leads; who has the old key alone is shut out afterwards.
func TestGossipKeysRotate(t *testing.T) {
	t.Parallel()
	old, fresh := testKey(1), testKey(2)
	r := newRinged(t, nil, old)
	eventually(t, "the first key everywhere", func() bool { return hold(r.all, 1, old) && alive(r.all) })
	still := watch(r.all)
	defer still()
	leader := leaderOf(t, r.all)
	rest := without(r.all, leader)
	late, heir := rest[0], rest[1]
	add := fmt.Sprintf("key add %x", fresh)
	reached, goOn := stalled(late, add)
	leader.mustPropose(add)
	<-reached
	// It has the new key in its log, and doesn't use it so far.
	c, err := leader.running()
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the others to have the new key", func() bool {
		return leader.holdRing().Revision >= 2 && heir.holdRing().Revision >= 2
	})
	if lack := leader.lackRing(c, 2, map[string]*heldRing{heir.name(): nil}); !slices.Equal(lack, []string{late.name()}) {
		t.Errorf("%v lack the new key, of a member whose gossip has not started and one that hasn't answered", lack)
	}
	if err := leader.turnRing(leader.ctx(), c, map[string]*heldRing{heir.name(): heir.holdRing(), late.name(): late.holdRing()}); err != nil {
		t.Fatal(err)
	}
	if ring := leader.cfg.GossipKeys.Ring(); ring.Revision != 2 {
		t.Fatalf("revision %d, and %s lacks the new key", ring.Revision, late.name())
	}
	if err := leader.TransferLeadership(leader.ctx(), heir.name()); err != nil {
		t.Fatal(err)
	}
	goOn()
	eventually(t, "the new key alone everywhere", func() bool { return hold(r.all, 4, fresh) })
	if !still() {
		t.Error("a member lost sight of another")
	}
	if n := r.garbled.Load(); n > 0 {
		t.Errorf("%d messages could not be decrypted", n)
	}
	if err := r.stranger(heir, fresh); err != nil {
		t.Errorf("with the new key: %v", err)
	}
	if err := r.stranger(heir, old); err == nil {
		t.Error("the old key still lets gossip in")
	}
}

// A rotation doesn't wait for the dead, and they are back in gossip as soon as their
// log has brought them the keys.
func TestADeadMemberGetsTheGossipKeysFromTheLog(t *testing.T) {
	t.Parallel()
	old, fresh := testKey(1), testKey(2)
	r := newRinged(t, nil, old, func(c *Config) { c.deadAfter = 200 * time.Millisecond })
	eventually(t, "the first key everywhere", func() bool { return hold(r.all, 1, old) && alive(r.all) })
	gone := followerOf(r.all, leaderOf(t, r.all))
	gone.stop()
	gone.gate = &testGate{}
	rest := without(r.all, gone)
	rest[0].mustPropose(fmt.Sprintf("key add %x", fresh))
	eventually(t, "the new key alone at the others", func() bool { return hold(rest, 4, fresh) })
	gone.start()
	eventually(t, "it to be back", func() bool { return hold(r.all, 4, fresh) && alive(r.all) })
}

// Members that share a configured key gossip with it before the cluster has one of its
// own, as those of older programs do, and go on without a break. One that has been
// given another gets the cluster's.
func TestGossipBeginsWithTheConfiguredKey(t *testing.T) {
	t.Parallel()
	key := testKey(3)
	r := newRinged(t, key, nil, func(c *Config) {
		if c.NodeID == "n3" {
			c.GossipKey = testKey(4)
		}
	})
	both := r.all[:2]
	eventually(t, "gossip with the configured key", func() bool { return alive(both) && hold(both, 0, key) })
	if alive(r.all) {
		t.Error("a member gossips with another key")
	}
	still := watch(both)
	defer still()
	for _, k := range r.keys {
		k.first.Store(&key)
	}
	eventually(t, "gossip with the cluster's key", func() bool { return alive(r.all) && hold(r.all, 1, key) })
	if !still() {
		t.Error("a member lost sight of another")
	}
}

// Whatever ring a node has missed, it gets from what it has to what it should have,
// and changes no list that somebody reads.
func TestInstallOfARing(t *testing.T) {
	ring := rapid.Custom(func(t *rapid.T) [][]byte {
		return rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) []byte { return testKey(rapid.ByteRange(1, 4).Draw(t, "key")) }),
			1, 3, func(k []byte) byte { return k[0] }).Draw(t, "keys")
	})
	rapid.Check(t, func(t *rapid.T) {
		rings := rapid.SliceOfN(ring, 2, 6).Draw(t, "rings")
		keyring, err := memberlist.NewKeyring(rings[0], rings[0][0])
		if err != nil {
			t.Fatal(err)
		}
		for _, keys := range rings[1:] {
			read := keyring.GetKeys()
			before := slices.Clone(read)
			if err := (GossipRing{Keys: keys}).install(keyring); err != nil {
				t.Fatal(err)
			}
			got := keyring.GetKeys()
			if len(got) != len(keys) || !bytes.Equal(got[0], keys[0]) {
				t.Fatalf("%d keys, the first %d, want %d, %d", len(got), got[0][0], len(keys), keys[0][0])
			}
			for _, k := range keys {
				if !slices.ContainsFunc(got, func(has []byte) bool { return bytes.Equal(has, k) }) {
					t.Fatalf("key %d is missing", k[0])
				}
			}
			if !slices.EqualFunc(read, before, bytes.Equal) {
				t.Fatal("a list was changed under its reader")
			}
		}
	})
}
