package storage

import (
	"bytes"
	"math"
)

// sample is one row in its encoded form.
type sample struct {
	name  string
	key   []byte
	value []byte
}

func fill(n int, from byte) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = from + byte(i)
	}
	return b
}

// samples has a row of every kind whose fields all differ, and the rows whose
// encoding has a case of its own.
func samples() []sample {
	const record = "https://x/1?q=a%2Fb"
	f := Fingerprint{
		Hash:          [16]byte(fill(16, 0xa0)),
		SyncTimestamp: 1_700_000_000_123_456_789,
		Changed:       Seq{Index: 0x1122334455667788, Offset: 4999},
		Size:          300,
	}
	tombstone := f
	tombstone.Hash, tombstone.Size, tombstone.Tombstone, tombstone.BuriedAt = Hash{}, 0, true, 61_000_000_002
	content := Content{
		Data:         []byte(`{"title":"Ärger"}`),
		File:         []byte(`{"name":"a.pdf"}`),
		SourceSystem: []byte("salesforce"),
		CreatedAt:    []byte("2024-01-02T03:04:05Z"),
		UpdatedAt:    []byte("2024-02-03T04:05:06.789Z"),
		SyncID:       "sync_01jd8b7v6xk2m3n4p5q6r7s8t9",
	}
	long := Content{Data: bytes.Repeat([]byte("x"), 300)}
	return []sample{
		{"system", appendSystemKey(nil), encodeRow(System{
			ClusterID: "cl_01jd8b7v6x", Epoch: Epoch(fill(16, 0x10)), AppliedIndex: 4_294_967_297, AppliedTerm: 7,
			ClusterVersion: 1, ClusterTime: 60_060_000_000, NextOrg: 2, NextStore: 3, NextNamespace: 4, Chain: 0x5152535455565758,
		})},
		{"system zero", appendSystemKey(nil), encodeRow(System{})},
		{"marks", appendMarksKey(nil), encodeRow(Marks{
			Last: []Mark{{Index: 1024, Chain: 0x6162636465666768}, {Index: 0x0102030405060708, Chain: 0x7172737475767778}}, ScrubIndex: 1024, ScrubAt: 86_400_000_000_001,
		})},
		{"marks bare", appendMarksKey(nil), encodeRow(Marks{})},
		{"CA rotation", appendCARotationKey(nil), encodeRow(CARotation{
			Phase: 2, CA: fill(40, 0x30), BegunAt: 1_700_000_000_000_000_011, PhaseAt: 1_700_000_000_000_000_012,
		})},
		{"settings", appendSettingsKey(nil), encodeRow(Settings{
			Limits: Limits{RequestsPerWindow: 100}, WindowMillis: 60_060, AdminTokenHash: [32]byte(fill(32, 0x40)),
			TombstoneRetentionSeconds: 604_800, IdempotencyRetentionSeconds: 86_400, IdempotencyKeysMax: 100_000,
			HistoryRetentionSeconds: 2_592_000, HistorySyncsMax: 100_001, DeadMemberRemovalSeconds: 86_401, MinVoters: 3,
		})},
		{"org", appendOrgKey(nil, "org_acme"), encodeRow(Org{Num: 1, CreatedAt: 1_700_000_000_000_000_001, Limits: Limits{RequestsPerWindow: 250}})},
		{"key", appendKeyKey(nil, "key_01jd8b7v6xk2m3n4p5q6r7s8t9"), encodeRow(Key{
			Org: "org_acme", Name: "nightly loader", SecretHash: [32]byte(fill(32, 0x60)), DefaultStore: "vs_docs",
			CreatedAt: 1_700_000_000_000_000_002, ExpiresAt: 1_700_000_000_000_000_007, RevokedAt: -1, LifetimeSeconds: 7_776_000,
			Scope: Scope{Actions: 0x0b, Stores: []string{"vs_docs", "vs_logs"}, Namespaces: []string{"articles/*", "n"}}, RotatedTo: "key_01jd8b7v6xk2m3n4p5q6r7s8ta",
		})},
		{"key bare", appendKeyKey(nil, "k"), encodeRow(Key{Org: "org_acme"})},
		{"join token", appendJoinTokenKey(nil, "jt_01jd8b7v6xk2m3n4p5q6r7s8t9"), encodeRow(JoinToken{
			SecretHash: [32]byte(fill(32, 0x20)), CreatedAt: 1_700_000_000_000_000_008, ExpiresAt: 61_000_000_003, UsedBy: "n2", UsedWith: [32]byte(fill(32, 0x70)),
		})},
		{"join token bare", appendJoinTokenKey(nil, "t"), encodeRow(JoinToken{})},
		{"admin token", appendAdminTokenKey(nil), encodeRow(AdminTokenChange{Changes: 0x0102030405060708, ChangedAt: 1_700_000_000_000_000_011})},
		{"gossip ring", appendGossipRingKey(nil), encodeRow(GossipRing{
			Revision: 0x0102030405060708, Primary: 1,
			Keys: []GossipRingKey{{GossipKey(fill(32, 0x20)), 1_700_000_000_000_000_009}, {GossipKey(fill(32, 0x50)), 1_700_000_000_000_000_010}},
		})},
		{"org key", appendOrgKeyKey(nil, 1, "key_01jd8b7v6xk2m3n4p5q6r7s8t9"), encodeRow(empty{})},
		{"store", appendStoreKey(nil, 1, "vs_docs"), encodeRow(Store{Num: 0x01020304, CreatedAt: 1_700_000_000_000_000_003})},
		{"usage", appendUsageKey(nil, 0x01020304, 3), encodeRow(Usage{Records: 1_100_000, Bytes: 330_000_000, Tombstones: 12, Namespaces: 2, Digest: Digest(fill(16, 0x80))})},
		{"window head", appendWindowHeadKey(nil, 1), encodeRow(WindowHead{Admitted: 101, First: 7, Forgotten: 59_999_999_998, Bytes: 1 << 40})},
		{"window slot", appendWindowSlotKey(nil, 0x0a0b0c0d, 0x0102030405060708), encodeRow(WindowSlot{At: 59_999_999_999, Before: 0x0102030405060708})},
		{"history", appendHistoryKey(nil, 2, 0x0102030405060708), encodeRow(History{
			SyncID: "sync_01jd8b7v6xk2m3n4p5q6r7s8t9", AppliedAt: 1_700_000_000_000_000_006, StoredAt: 60_000_000_011,
			KeyID: "key_01jd8b7v6xk2m3n4p5q6r7s8t9", Store: "vs_docs", Mode: 2, Timestamp: 1_700_000_000_000_000_005,
			Keyed: true, KeySlot: 0x0203040506070809,
			HistoryCounts: HistoryCounts{Upserted: 300, Deleted: 11, Skipped: 12},
			Created:       13, Updated: 14, Unchanged: 15, Removed: 1_000_000, Namespaces: 5000, Pipeline: "salesforce", CheckpointSkipped: true,
			ByNamespace: []HistoryNamespace{
				{"articles/de", HistoryCounts{Upserted: 297, Deleted: 8, Skipped: 9}},
				{"n", HistoryCounts{Upserted: 3, Deleted: 3, Skipped: 3}},
			},
		})},
		{"history bare", appendHistoryKey(nil, 2, 1), encodeRow(History{SyncID: "s"})},
		{"history head", appendHistoryHeadKey(nil, 2), encodeRow(HistoryHead{First: 0x0102030405060708, Count: 100_000, Since: 60_000_000_012, Checkpoints: 13})},
		{"sync id", appendSyncIDKey(nil, 2, "sync_01jd8b7v6xk2m3n4p5q6r7s8t9"), encodeRow(syncIndex(0x0102030405060708))},
		{"checkpoint", appendCheckpointKey(nil, 2, "sales/force"), encodeRow(PipelineCheckpoint{
			State: []byte(`{"bookmark": 7}`), Timestamp: 1_700_000_000_000_000_005, SyncID: "sync_01jd8b7v6xk2m3n4p5q6r7s8t9",
			Index: 0x0102030405060708, UpdatedAt: 1_700_000_000_000_000_006,
		})},
		{"idempotency", appendIdempotencyKey(nil, 2, [32]byte(fill(32, 0x10))), encodeRow(Idempotency{
			Request: [32]byte(fill(32, 0x50)), Index: 0x0102030405060708, SyncID: "sync_01jd8b7v6xk2m3n4p5q6r7s8t9", StoredAt: 60_000_000_009,
		})},
		{"idempotency slot", appendIdempotencySlotKey(nil, 2, 0x0102030405060708), encodeRow(IdempotencySlot{
			StoredAt: 60_000_000_009, Index: 77, Key: [32]byte(fill(32, 0x10)),
		})},
		{"idempotency head", appendIdempotencyHeadKey(nil, 2), encodeRow(SlotRange{First: 3, Next: 100_003})},
		{"request", appendRequestKey(nil, [16]byte(fill(16, 0x30))), encodeRow(Request{StoredAt: 60_000_000_010, Reply: []byte("reply")})},
		{"request slot", appendRequestSlotKey(nil, 0x0102030405060708), encodeRow(RequestSlot{StoredAt: 60_000_000_010, ID: [16]byte(fill(16, 0x30))})},
		{"request head", appendRequestHeadKey(nil), encodeRow(SlotRange{First: 4, Next: 1_000_004})},
		{"namespace", appendNamespaceKey(nil, 3, "articles/de"), encodeRow(Namespace{
			Num: 4, Live: 5, Next: 6, Count: 1_100_000, Digest: Digest(fill(16, 0x80)), LastIndex: 77,
			UpdatedAt: 1_700_000_000_000_000_004, MaxTS: 1_700_000_000_000_000_005, Floor: -6, Horizon: 7,
			Refreshed: true, RefreshDigest: Digest(fill(16, 0xc0)), Tombstones: 12, BuriedSince: 60_000_000_008,
			Bytes: 330_000_000, Org: 2, Superseded: 100_001, SupersededBytes: 31_000_000,
		})},
		{"namespace deleted", appendNamespaceKey(nil, 3, "d"), encodeRow(Namespace{Num: 5, Live: 2, Next: 3, Deleted: true})},
		{"namespace bare", appendNamespaceKey(nil, 3, "n"), encodeRow(Namespace{Num: 5, Live: 1, Next: 2})},
		{"namespace name", appendNamespaceNameKey(nil, 3, 4), encodeRow(namespaceName("articles/de"))},
		{"retired", appendRetiredKey(nil, 3, 4, 5), encodeRow(Retired{After: record})},
		{"deleted org", appendDeletedOrgKey(nil, 2), encodeRow(empty{})},
		{"change", appendChangeKey(nil, 3, f.Changed), encodeRow(changes{
			{7, Change{Namespace: 4, ID: record}}, {8, Change{Namespace: 4, ID: "next"}}, {4999, Change{Namespace: 1 << 20, ID: "last"}},
		})},
		{"change single", appendChangeKey(nil, 3, Seq{Index: 9}), encodeRow(changes{{0, Change{Namespace: 4, ID: record}}})},
		{"change head", appendChangeHeadKey(nil, 3), encodeRow(ChangeHead{Entries: 0x0102030405060708, Horizon: f.Changed})},
		{"fingerprint", appendFingerprintKey(nil, 3, 4, 5, record), encodeRow(f)},
		{"fingerprint tombstone", appendFingerprintKey(nil, 3, 4, 5, "\x00\xff"), encodeRow(tombstone)},
		{"content", appendContentKey(nil, 3, 4, 5, f.Changed), encodeRow(content)},
		{"content absent", appendContentKey(nil, 3, 4, 5, Seq{1, 0}), encodeRow(Content{})},
		{"content empty", appendContentKey(nil, 3, 4, 5, Seq{1, 1}), encodeRow(Content{Data: []byte{}, SourceSystem: []byte{}})},
		{"content long", appendContentKey(nil, 0xffffffff, 0xfffffffe, 0xfffffffd, Seq{math.MaxUint64, math.MaxUint32}), encodeRow(long)},
	}
}

// recodeRow decodes a value as a row of the kind and encodes what came out.
func recodeRow(k kind, value []byte) ([]byte, error) {
	switch k {
	case kindSystem:
		return recode[System](value)
	case kindMarks:
		return recode[Marks](value)
	case kindCARotation:
		return recode[CARotation](value)
	case kindSettings:
		return recode[Settings](value)
	case kindOrg:
		return recode[Org](value)
	case kindKey:
		return recode[Key](value)
	case kindOrgKey:
		return recode[empty](value)
	case kindStore:
		return recode[Store](value)
	case kindUsage:
		return recode[Usage](value)
	case kindWindowHead:
		return recode[WindowHead](value)
	case kindWindowSlot:
		return recode[WindowSlot](value)
	case kindHistory:
		return recode[History](value)
	case kindHistoryHead:
		return recode[HistoryHead](value)
	case kindSyncID:
		return recode[syncIndex](value)
	case kindCheckpoint:
		return recode[PipelineCheckpoint](value)
	case kindIdempotency:
		return recode[Idempotency](value)
	case kindIdempotencySlot:
		return recode[IdempotencySlot](value)
	case kindRequest:
		return recode[Request](value)
	case kindJoinToken:
		return recode[JoinToken](value)
	case kindAdminToken:
		return recode[AdminTokenChange](value)
	case kindGossipRing:
		return recode[GossipRing](value)
	case kindRequestSlot:
		return recode[RequestSlot](value)
	case kindRequestHead:
		return recode[SlotRange](value)
	case kindIdempotencyHead:
		return recode[SlotRange](value)
	case kindNamespace:
		return recode[Namespace](value)
	case kindNamespaceName:
		return recode[namespaceName](value)
	case kindDeletedOrg:
		return recode[empty](value)
	case kindRetired:
		return recode[Retired](value)
	case kindChange:
		return recode[changes](value)
	case kindChangeHead:
		return recode[ChangeHead](value)
	case kindFingerprint:
		return recode[Fingerprint](value)
	default:
		return recode[Content](value)
	}
}

func recode[T interface{ encode(*writer) }, P decodable[T]](value []byte) ([]byte, error) {
	var row T
	r := reader{b: value, what: "value"}
	P(&row).decode(&r)
	if err := r.done(); err != nil {
		return nil, err
	}
	return encodeRow(row), nil
}

// rebuild makes the key again from its parts.
func (k rowKey) rebuild() []byte {
	switch k.kind {
	case kindSystem:
		return appendSystemKey(nil)
	case kindMarks:
		return appendMarksKey(nil)
	case kindCARotation:
		return appendCARotationKey(nil)
	case kindSettings:
		return appendSettingsKey(nil)
	case kindOrg:
		return appendOrgKey(nil, k.name)
	case kindKey:
		return appendKeyKey(nil, k.name)
	case kindOrgKey:
		return appendOrgKeyKey(nil, k.org, k.name)
	case kindJoinToken:
		return appendJoinTokenKey(nil, k.name)
	case kindAdminToken:
		return appendAdminTokenKey(nil)
	case kindGossipRing:
		return appendGossipRingKey(nil)
	case kindStore:
		return appendStoreKey(nil, k.org, k.name)
	case kindUsage:
		return appendUsageKey(nil, k.org, k.store)
	case kindWindowHead:
		return appendWindowHeadKey(nil, k.org)
	case kindWindowSlot:
		return appendWindowSlotKey(nil, k.org, k.seq)
	case kindHistory:
		return appendHistoryKey(nil, k.org, k.seq)
	case kindHistoryHead:
		return appendHistoryHeadKey(nil, k.org)
	case kindSyncID:
		return appendSyncIDKey(nil, k.org, k.name)
	case kindCheckpoint:
		return appendCheckpointKey(nil, k.org, k.name)
	case kindIdempotency:
		return appendIdempotencyKey(nil, k.org, k.hash)
	case kindIdempotencySlot:
		return appendIdempotencySlotKey(nil, k.org, k.seq)
	case kindRequest:
		return appendRequestKey(nil, k.id)
	case kindRequestSlot:
		return appendRequestSlotKey(nil, k.seq)
	case kindRequestHead:
		return appendRequestHeadKey(nil)
	case kindIdempotencyHead:
		return appendIdempotencyHeadKey(nil, k.org)
	case kindNamespace:
		return appendNamespaceKey(nil, k.store, k.name)
	case kindNamespaceName:
		return appendNamespaceNameKey(nil, k.store, k.ns)
	case kindDeletedOrg:
		return appendDeletedOrgKey(nil, k.org)
	case kindRetired:
		return appendRetiredKey(nil, k.store, k.ns, k.gen)
	case kindChange:
		return appendChangeKey(nil, k.store, k.at)
	case kindChangeHead:
		return appendChangeHeadKey(nil, k.store)
	case kindContent:
		return appendContentKey(nil, k.store, k.ns, k.gen, k.at)
	default:
		return appendFingerprintKey(nil, k.store, k.ns, k.gen, k.name)
	}
}
