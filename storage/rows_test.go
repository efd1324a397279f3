package storage

import (
	"errors"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"
)

// One row of each kind; no two numbers in a row are the same.
var (
	aSystem = System{
		ClusterID: "c", Epoch: Epoch{1}, AppliedIndex: 2, AppliedTerm: 3, ClusterVersion: 4, ClusterTime: 5,
		NextOrg: 6, NextStore: 7, NextNamespace: 8,
	}
	aSettings = Settings{Limits: Limits{RequestsPerWindow: 1}, WindowMillis: 2, AdminTokenHash: [32]byte{3}, TombstoneRetentionSeconds: 4, IdempotencyRetentionSeconds: 5, IdempotencyKeysMax: 6,
		HistoryRetentionSeconds: 7, HistorySyncsMax: 8, StoreNamespacesMax: 9, DeadMemberRemovalSeconds: 10, MinVoters: 11}
	anOrg  = Org{Num: 1, CreatedAt: 2, Limits: Limits{RequestsPerWindow: 3}}
	aKey   = Key{Org: "o", Name: "n", SecretHash: [32]byte{1}, DefaultStore: "s", CreatedAt: 2, RevokedAt: 3}
	aStore = Store{Num: 1, CreatedAt: 2}
	aNs    = Namespace{
		Num: 1, Live: 2, Next: 3, Count: 4, Digest: Digest{5}, LastIndex: 6, UpdatedAt: 7, MaxTS: 8, Floor: 9, Horizon: 10,
		Refreshed: true, RefreshDigest: Digest{11}, Tombstones: 12, BuriedSince: 13,
		Bytes: 14, Org: 15,
	}
	aHistory = History{
		SyncID: "s", AppliedAt: 1, HistoryCounts: HistoryCounts{2, 3, 4}, Created: 5, Updated: 6, Unchanged: 7, Removed: 8,
		StoredAt: 15, KeyID: "k", Store: "v", Mode: 16, Timestamp: 17, Keyed: true, KeySlot: 18, Namespaces: 19, Pipeline: "p", CheckpointSkipped: true,
		ByNamespace: []HistoryNamespace{{"n", HistoryCounts{9, 10, 11}}, {"m", HistoryCounts{12, 13, 14}}},
	}
	aHistoryHead      = HistoryHead{First: 1, Count: 2, Since: 3, Checkpoints: 4}
	aCheckpoint       = PipelineCheckpoint{State: []byte("{}"), Timestamp: 1, SyncID: "s", Index: 2, UpdatedAt: 3}
	anIdempotency     = Idempotency{Request: RequestHash{1}, Index: 2, SyncID: "s", StoredAt: 3}
	anIdempotencySlot = IdempotencySlot{StoredAt: 1, Index: 2, Key: KeyHash{3}}
	anIdempotencyHead = SlotRange{First: 1, Next: 2}
	aRequest          = Request{StoredAt: 1, Reply: []byte("r")}
	aRequestSlot      = RequestSlot{StoredAt: 1, ID: RequestID{2}}
	aRequestHead      = SlotRange{First: 1, Next: 2}

	aToken       = JoinToken{SecretHash: [32]byte{1}, CreatedAt: 2, ExpiresAt: 3, UsedBy: "n", UsedWith: [32]byte{4}}
	aTokenChange = AdminTokenChange{Changes: 2, ChangedAt: 3}
	aRing        = GossipRing{Revision: 1, Keys: []GossipRingKey{{GossipKey{2}, 3}, {GossipKey{4}, 5}}, Primary: 1}
	aRotation    = CARotation{Phase: 1, CA: []byte{2}, BegunAt: 3, PhaseAt: 4}
	someMarks    = Marks{Last: []Mark{{1, 2}, {3, 4}}, ScrubIndex: 1, ScrubAt: 5}
	aUsage       = Usage{Records: 1, Bytes: 2, Tombstones: 3, Namespaces: 4, Digest: Digest{5}}
	aHead        = WindowHead{Admitted: 9, First: 8, Forgotten: -8, Bytes: 7}
	aFingerprint = Fingerprint{Hash: Hash{1}, SyncTimestamp: 2, Changed: Seq{3, 4}, Size: 5}
	aTombstone   = Fingerprint{SyncTimestamp: -2, Changed: Seq{3, 5}, Tombstone: true, BuriedAt: 4}
	aContent     = Content{Data: []byte{}, File: []byte("f"), CreatedAt: []byte("c"), UpdatedAt: []byte("u"), SyncID: "i"}
)

func writeRows(tb tester, db *DB) {
	tb.Helper()
	write(tb, db, func(b *Batch) {
		b.PutMarks(someMarks)
		b.PutSettings(aSettings)
		b.PutCARotation(CARotation{})
		b.DeleteCARotation()
		b.PutCARotation(aRotation)
		b.PutOrg("o", anOrg)
		b.PutKey("k", aKey)
		b.PutJoinToken("t", aToken)
		b.PutJoinToken("gone", aToken)
		b.DeleteJoinToken("gone")
		b.PutGossipRing(aRing)
		b.PutAdminTokenChange(aTokenChange)
		b.PutStore(1, "s", aStore)
		b.PutNamespace(1, "n", aNs)
		b.PutUsage(1, 2, aUsage)
		b.PutWindowHead(1, aHead)
		b.PutWindowSlot(1, 8, WindowSlot{At: -7, Before: 6})
		b.PutWindowSlot(1, 9, WindowSlot{At: 9})
		b.DeleteWindowSlot(1, 9)
		b.PutHistory(1, 7, aHistory)
		b.PutHistory(1, 8, aHistory)
		b.DeleteHistory(1, 8)
		b.PutHistoryHead(1, aHistoryHead)
		b.PutSyncID(1, "s", 7)
		b.PutPipelineCheckpoint(1, "p", aCheckpoint)
		b.PutPipelineCheckpoint(1, "q", aCheckpoint)
		b.DeletePipelineCheckpoint(1, "q")
		b.PutSyncID(1, "t", 8)
		b.DeleteSyncID(1, "t")
		b.PutIdempotency(1, KeyHash{1}, anIdempotency)
		b.PutIdempotency(1, KeyHash{2}, anIdempotency)
		b.DeleteIdempotency(1, KeyHash{2})
		b.PutIdempotencySlot(1, 1, anIdempotencySlot)
		b.PutIdempotencySlot(1, 2, anIdempotencySlot)
		b.DeleteIdempotencySlot(1, 2)
		b.PutRequest(RequestID{1}, aRequest)
		b.PutRequest(RequestID{2}, aRequest)
		b.DeleteRequest(RequestID{2})
		b.PutRequestSlot(1, aRequestSlot)
		b.PutRequestSlot(2, aRequestSlot)
		b.DeleteRequestSlot(2)
		b.PutRequestHead(aRequestHead)
		b.PutIdempotencyHead(1, anIdempotencyHead)
		b.PutFingerprint(1, 2, 3, "live", aFingerprint)
		b.PutContent(1, 2, 3, aFingerprint.Changed, aContent)
		b.PutFingerprint(1, 2, 3, "dead", aTombstone)
		b.PutContent(1, 2, 3, aTombstone.Changed, aContent)
		b.DeleteContent(1, 2, 3, aTombstone.Changed)
		b.SetSystem(&aSystem)
	})
}

// TestRowsComeBack writes a row of each kind and reads it from the memtable,
// from a table, and after the database was opened again.
func TestRowsComeBack(t *testing.T) {
	mem := vfs.NewMem()
	db := openTest(t, dbDir, Options{FS: mem})
	writeRows(t, db)
	verifyRows(t, db)
	verifyRecords(t, db)
	check(t, db.Flush())
	verifyRows(t, db)
	verifyRecords(t, db)
	check(t, db.Close())
	db = openTest(t, dbDir, Options{FS: mem})
	verifyRows(t, db)
	verifyRecords(t, db)
	check(t, db.Close())
}

func same[T any](tb testing.TB, what string, want, got T, found bool, err error) {
	tb.Helper()
	if err != nil || !found {
		tb.Errorf("%s: found %v, error %v", what, found, err)
	} else if diff := cmp.Diff(want, got); diff != "" {
		tb.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func verifyRows(tb testing.TB, r Reader) {
	tb.Helper()
	system, err := r.System()
	same(tb, "system", aSystem, system, true, err)
	marks, err := r.Marks()
	same(tb, "marks", someMarks, marks, true, err)
	settings, found, err := r.Settings()
	same(tb, "settings", aSettings, settings, found, err)
	org, found, err := r.Org("o")
	same(tb, "org", anOrg, org, found, err)
	rotation, err := r.CARotation()
	same(tb, "CA rotation", aRotation, rotation, true, err)
	key, found, err := r.Key("k")
	same(tb, "key", aKey, key, found, err)
	token, found, err := r.JoinToken("t")
	same(tb, "join token", aToken, token, found, err)
	if _, found, err := r.JoinToken("gone"); found || err != nil {
		tb.Errorf("deleted join token: %v, %v", found, err)
	}
	change, err := r.AdminTokenChange()
	same(tb, "admin token", aTokenChange, change, true, err)
	ring, err := r.GossipRing()
	same(tb, "gossip ring", aRing, ring, true, err)
	store, found, err := r.Store(1, "s")
	same(tb, "store", aStore, store, found, err)
	ns, found, err := r.Namespace(1, "n")
	same(tb, "namespace", aNs, ns, found, err)
	usage, err := r.Usage(1, 2)
	same(tb, "usage", aUsage, usage, true, err)
	head, err := r.WindowHead(1)
	same(tb, "window head", aHead, head, true, err)
	slot, found, err := r.WindowSlot(1, 8)
	same(tb, "window slot", WindowSlot{At: -7, Before: 6}, slot, found, err)
	if _, found, err := r.WindowSlot(1, 9); found || err != nil {
		tb.Errorf("deleted window slot: %v, %v", found, err)
	}
	history, found, err := r.History(1, 7)
	same(tb, "history", aHistory, history, found, err)
	historyHead, err := r.HistoryHead(1)
	same(tb, "history head", aHistoryHead, historyHead, true, err)
	index, found, err := r.SyncIndex(1, "s")
	same(tb, "sync id", 7, index, found, err)
	checkpoint, found, err := r.PipelineCheckpoint(1, "p")
	same(tb, "checkpoint", aCheckpoint, checkpoint, found, err)
	idempotency, found, err := r.Idempotency(1, KeyHash{1})
	same(tb, "idempotency", anIdempotency, idempotency, found, err)
	keySlot, found, err := r.IdempotencySlot(1, 1)
	same(tb, "idempotency slot", anIdempotencySlot, keySlot, found, err)
	keyHead, err := r.IdempotencyHead(1)
	same(tb, "idempotency head", anIdempotencyHead, keyHead, true, err)
	request, found, err := r.Request(RequestID{1})
	same(tb, "request", aRequest, request, found, err)
	requestSlot, found, err := r.RequestSlot(1)
	same(tb, "request slot", aRequestSlot, requestSlot, found, err)
	requestHead, err := r.RequestHead()
	same(tb, "request head", aRequestHead, requestHead, true, err)
	_, gone4, err4 := r.Request(RequestID{2})
	_, gone5, err5 := r.RequestSlot(2)
	if gone4 || gone5 || errors.Join(err4, err5) != nil {
		tb.Errorf("deleted: request %v, slot %v, %v", gone4, gone5, errors.Join(err4, err5))
	}
	_, gone1, err1 := r.History(1, 8)
	_, gone2, err2 := r.Idempotency(1, KeyHash{2})
	_, gone3, err3 := r.IdempotencySlot(1, 2)
	_, gone6, err6 := r.SyncIndex(1, "t")
	if gone1 || gone2 || gone3 || gone6 || errors.Join(err1, err2, err3, err6) != nil {
		tb.Errorf("deleted: history %v, idempotency %v, slot %v, sync id %v, %v", gone1, gone2, gone3, gone6, errors.Join(err1, err2, err3, err6))
	}
}

func verifyRecords(tb testing.TB, r Reader) {
	tb.Helper()
	f, c, found, err := r.Record(1, 2, 3, "live")
	same(tb, "fingerprint", aFingerprint, f, found, err)
	same(tb, "content", aContent, c, found, err)
	if _, _, found, err := r.Record(1, 2, 3, "dead"); found || err != nil {
		tb.Errorf("record without content: %v, %v", found, err)
	}
	want := []Fingerprint{{}, aTombstone, aFingerprint}
	check(tb, r.Fingerprints(1, 2, 3, []string{"absent", "dead", "live"}, func(i int, f Fingerprint, found bool) error {
		same(tb, "looked up fingerprint", want[i], f, found == (i > 0), nil)
		return nil
	}))
	visits := 0
	check(tb, r.ScanRecords(1, 2, 3, "", 10, func(id string, f Fingerprint, c Content) error {
		visits++
		same(tb, "scanned fingerprint", aFingerprint, f, id == "live", nil)
		same(tb, "scanned content", aContent, c, id == "live", nil)
		return nil
	}))
	if visits != 1 {
		tb.Errorf("%d records scanned, want 1", visits)
	}
}
