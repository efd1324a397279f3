package fsm

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/raft"

	"pipesync/storage"
)

// history is what an instance that was never interrupted did with random
// entries. The results of syncs are compared with the model's at once, the state
// by whoever has gone through the history in some other way.
type history struct {
	rng   *rand.Rand
	plain *rig
	model *model
	steps []step
	// hashes is the state by the index of the last entry in it.
	hashes map[uint64][32]byte
}

type step struct {
	log      *raft.Log
	response string
	// snapshot is one of the state after the entry; of few steps.
	snapshot []byte
}

const historyLimit = 12 // of syncs in a window

// newHistory makes and applies a history of at most most entries.
func newHistory(t testing.TB, seed uint64, most int) *history {
	t.Helper()
	disk, err := newCrashDisk()
	must(t, err)
	h := &history{
		rng:    rand.New(rand.NewPCG(seed, 1)),
		plain:  crashRig(t, seed, disk),
		model:  newModel(historyLimit),
		hashes: map[uint64][32]byte{},
	}
	h.plain.open()
	defer h.plain.close()
	h.hashes[0] = stateHash(t, h.plain.fsm)
	h.add(testBootstrap(historyLimit))
	h.add(&KeyCreate{KeyID: testKey, Org: testOrg, DefaultStore: testStore})
	for n := most/2 + h.rng.IntN(most/2); len(h.steps) < n; {
		h.plain.now += h.between(-2, 8) * second
		h.plain.wall += h.between(-1, 3) * second
		h.addAny()
	}
	return h
}

func (h *history) between(least, most int64) int64 { return least + h.rng.Int64N(most-least+1) }

func pick[T any](h *history, from ...T) T { return from[h.rng.IntN(len(from))] }

func (h *history) addAny() {
	if h.rng.IntN(20) == 0 {
		h.add(&KeyCreate{
			KeyID: pick(h, limitedKeys...), Org: testOrg, LifetimeSeconds: pick[uint32](h, 0, 9),
			Scope: Scope{Actions: pick(h, 0, MayUpsert, MayUpsert|MayDelete), Namespaces: pick(h, nil, []string{"n", "m*"})},
		})
		return
	}
	if h.rng.IntN(40) == 0 {
		h.add(&KeyRotate{KeyID: pick(h, limitedKeys...), NewKeyID: pick(h, limitedKeys...), OverlapSeconds: pick[uint32](h, 0, 9)})
		return
	}
	if h.rng.IntN(30) == 0 {
		h.add(&TokenCreate{TokenID: pick(h, someTokens...), LifetimeSeconds: pick[uint32](h, 1, 9, 60)})
		h.add(pick[Command](h, &TokenUse{TokenID: pick(h, someTokens...), NodeID: pick(h, "n1", "n2")}, &TokenRevoke{TokenID: pick(h, someTokens...)}))
		return
	}
	if h.rng.IntN(30) == 0 {
		h.add(pick[Command](h, someRotationCommands()...))
		return
	}
	switch k := h.rng.IntN(40); k {
	case 0, 1:
		h.add(&StoreCreate{Org: pick(h, testOrg, "org_b"), Store: pick(h, "vs_a", "vs_b", "vs_c")})
	case 2, 3:
		h.add(&KeyCreate{KeyID: pick(h, "key_b", "key_c"), Org: "org_b", DefaultStore: pick(h, "", "vs_a")})
	case 4:
		h.add(&KeyRevoke{KeyID: pick(h, "key_b", "key_x")})
	case 5:
		if h.rng.IntN(4) == 0 {
			h.add(&KeyRevoke{KeyID: testKey})
		}
	case 6:
		h.add(testBootstrap(historyLimit + 1))
	case 16:
		h.add(&LimitsSet{Org: pick(h, testOrg, "org_b"), Figures: []FigureValue{{1, uint64(h.between(0, historyLimit))}, {3, uint64(h.between(0, 12))}, {5, uint64(h.between(0, 6))}}})
	case 15:
		h.add(&SettingsSet{Figures: []FigureValue{{1, uint64(h.between(4, historyLimit))}, {5, uint64(h.between(1, 4))}}})
	case 7, 8, 9:
		h.addSweep()
	case 10, 11, 12:
		h.add(&Collect{
			Store: 1, Namespace: pick(h, "n", "m", "o"), Generation: storage.Generation(h.between(1, 3)),
			Before: max(0, h.plain.now-h.between(0, 40)*second), Until: pick(h, dumpIDs...),
		})
	case 17:
		h.add(&VersionRaise{Version: pick[uint32](h, 1, MaxClusterVersion)})
		h.add(&GossipKeyAdd{Key: storage.GossipKey{byte(h.between(1, 3))}, First: h.rng.IntN(2) == 0})
		h.add(&AdminTokenSet{Hash: [32]byte{byte(h.between(5, 7))}})
		h.add(&GossipKeyAdvance{Revision: max(1, h.model.ring.revision)})
	case 13, 14:
		h.add(&Mark{Previous: storage.Mark{Index: uint64(h.between(1, 40))}, Scrub: h.rng.IntN(2) == 0})
	case 31:
		h.add(&OrgDelete{Org: "org_b"})
	case 30:
		h.add(&Purge{Org: storage.OrgNum(h.between(1, 4))})
	case 32:
		h.add(&StoreDelete{Org: pick(h, testOrg, "org_b"), Store: pick(h, "vs_b", "vs_c")})
	case 33:
		h.add(&NamespaceDelete{Org: testOrg, KeyID: testKey, Store: testStore, Namespace: pick(h, "n", "m", "o")})
	case 18:
		h.add(&CheckpointDelete{Org: testOrg, KeyID: pick(h, testKey, limitedKeys[0]), Pipeline: pick(h, "p", "q")})
	case 34, 35, 36, 37:
		h.add(&Reconcile{Store: 1, Namespace: pick(h, "n", "m", "o"), Generation: storage.Generation(h.between(1, 5))})
	case 38, 39:
		after := uint64(h.between(0, int64(h.plain.next)))
		h.add(&ChangeCollect{Store: 1, After: storage.Seq{Index: after}, Until: storage.Seq{Index: after + uint64(h.between(1, 60))}})
	default:
		h.add(h.sync())
	}
}

func (h *history) sync() *Sync {
	s := newSync(Incremental)
	s.SyncID = fmt.Sprint("sync_", len(h.steps))
	if h.rng.IntN(8) == 0 {
		s.KeyID = pick(h, limitedKeys...)
	}
	least := int64(0)
	if h.rng.IntN(5) == 0 {
		s.Mode, least = FullRefresh, 1
	}
	for range h.between(least, 10) {
		ns, id := pick(h, "n", "m", "o"), pick(h, dumpIDs...)
		if h.rng.IntN(3) == 0 {
			s.Operations = append(s.Operations, remove(ns, id))
			continue
		}
		op := upsert(ns, id, pick(h, "1", "2", "3"))
		if h.rng.IntN(8) == 0 {
			op = upsert(ns, id, fmt.Sprintf("%01000d", h.rng.IntN(3)))
		}
		s.Operations = append(s.Operations, op)
	}
	if h.rng.IntN(4) > 0 {
		ahead := h.between(-6, 4)
		if h.rng.IntN(20) == 0 {
			ahead = 400
		}
		s.at((h.plain.wall-testWall)/second + ahead)
	}
	if h.rng.IntN(4) == 0 {
		s.rejecting()
	}
	if h.rng.IntN(4) == 0 {
		s.checkpointed(pick(h, "p", "q"), pick(h, "1", "{}"))
	}
	if h.rng.IntN(4) == 0 {
		s.guarded(pick(h, uint32(0), 33_333, 50_000, AllDeleted))
	}
	return s
}

// addSweep collects as a leader does.
func (h *history) addSweep() {
	h.plain.t.Helper()
	v := h.plain.view()
	sweeps, err := v.Sweeps(h.plain.now, 2)
	v.Close()
	must(h.plain.t, err)
	for _, s := range sweeps {
		for !s.Done() {
			v := h.plain.view()
			c, err := s.Next(v, RequestID{})
			v.Close()
			must(h.plain.t, err)
			if c != nil {
				h.add(c)
			}
		}
	}
}

// add applies the next entry to the plain instance and to the model. Some entries
// are fenced, and then nothing happens but that they are in the log.
func (h *history) add(cmd Command) {
	t := h.plain.t
	t.Helper()
	l := h.plain.entry(cmd)
	if len(h.steps) > 1 && h.rng.IntN(20) == 0 {
		l.Term++
	}
	response := h.plain.fsm.Apply(l)
	s := step{log: l, response: fmt.Sprint(response)}
	if l.Term == testTerm {
		h.hashes[l.Index] = stateHash(t, h.plain.fsm)
		h.compareResult(cmd, l, decodeResponse(t, response))
	}
	if h.rng.IntN(16) == 0 {
		s.snapshot = h.plain.snapshot()
	}
	h.steps = append(h.steps, s)
}

func (h *history) compareResult(cmd Command, l *raft.Log, got *Result) {
	t, at := h.plain.t, Stamp{ClusterTime: h.plain.now, WallTime: h.plain.wall}
	t.Helper()
	switch c := cmd.(type) {
	case *Sync:
		if diff := cmp.Diff(h.model.sync(c, l.Index, at), got); diff != "" {
			t.Fatalf("result of entry %d (-want +got): %s", l.Index, diff)
		}
		return
	case *Collect:
		h.model.collect(c, at)
		return
	case *LimitsSet:
		h.model.setLimits(c, at)
		return
	case *SettingsSet:
		h.model.set(c, at)
		return
	case *NamespaceDelete:
		if want := h.model.delete(c, l.Index, at); got.Outcome != want {
			t.Fatalf("outcome %d of entry %d, want %d", got.Outcome, l.Index, want)
		}
		return
	case *CheckpointDelete:
		if want := h.model.deleteCheckpoint(c, at); got.Outcome != want {
			t.Fatalf("outcome %d of entry %d, want %d", got.Outcome, l.Index, want)
		}
		return
	case *Reconcile:
		h.model.reconcile(c, l.Index, at)
		return
	case *ChangeCollect:
		h.model.changesCollect(c, at)
		return
	case *TokenCreate, *TokenUse, *TokenRevoke:
		h.model.changeTokens(cmd, at)
	case *VersionRaise, *GossipKeyAdd, *GossipKeyAdvance:
		if want, _ := h.model.changeGossip(cmd, at); got.Outcome != want {
			t.Fatalf("outcome %d of entry %d, want %d", got.Outcome, l.Index, want)
		}
	case *CARotationBegin, *CARotationAdvance:
		if want, _ := h.model.changeRotation(cmd, at); got.Outcome != want {
			t.Fatalf("outcome %d of entry %d, want %d", got.Outcome, l.Index, want)
		}
	case *AdminTokenSet:
		if want, _ := h.model.changeAdminToken(c, at); got.Outcome != want {
			t.Fatalf("outcome %d of entry %d, want %d", got.Outcome, l.Index, want)
		}
	case *KeyCreate, *KeyRevoke, *KeyRotate:
		if c, ok := cmd.(*KeyCreate); ok && c.Org != testOrg {
			break // is of no concern to the model
		}
		h.model.changeKeys(cmd, at)
	}
	h.model.clusterTime = max(h.model.clusterTime, at.ClusterTime)
}

// replayTo applies the first entries, up to an index, to a new instance, which
// shows what the state should have been.
func (h *history) replayTo(t testing.TB, seed, index uint64) *dumped {
	t.Helper()
	disk, err := newCrashDisk()
	must(t, err)
	r := crashRig(t, seed, disk)
	r.open()
	defer r.close()
	for _, s := range h.steps {
		if s.log.Index <= index {
			r.fsm.Apply(s.log)
		}
	}
	return dump(t, r.fsm)
}

// stateHash is over every key and value of the database.
func stateHash(t testing.TB, f *FSM) [32]byte {
	t.Helper()
	v, err := f.View()
	must(t, err)
	defer v.Close()
	sum, err := v.Hash()
	must(t, err)
	return sum
}
