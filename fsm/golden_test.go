package fsm

import (
	"bytes"
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/raft"

	"pipesync/storage"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares b with testdata/golden/name.hex. A difference means that
// bytes on disk and on the wire have changed: that takes a new version or kind.
func golden(t *testing.T, name string, b []byte) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name+".hex")
	if *update {
		if err := os.WriteFile(path, []byte(hexLines(b)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want := readGolden(t, name)
	if !bytes.Equal(b, want) {
		t.Errorf("%s: got\n%swant\n%s", path, hexLines(b), hexLines(want))
	}
}

func readGolden(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "golden", name+".hex"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func hexLines(b []byte) string {
	var s strings.Builder
	for len(b) > 0 {
		n := min(32, len(b))
		s.WriteString(hex.EncodeToString(b[:n]) + "\n")
		b = b[n:]
	}
	return s.String()
}

func goldenID(first byte) (id RequestID) {
	for i := range id {
		id[i] = first + byte(i)
	}
	return id
}

// goldenCommands has one of every entry kind, with every field set.
func goldenCommands() map[string]Command {
	return map[string]Command{
		"entry-bootstrap": &Bootstrap{
			RequestID: goldenID(1), ClusterID: "cl_01", Epoch: storage.Epoch(goldenID(0x20)),
			Settings: storage.Settings{Limits: storage.Limits{RequestsPerWindow: 100}, WindowMillis: 60_060, AdminTokenHash: [32]byte{0xaa, 31: 0xbb}, TombstoneRetentionSeconds: 604_800, IdempotencyRetentionSeconds: 86_400, IdempotencyKeysMax: 100_000,
				HistoryRetentionSeconds: 2_592_000, HistorySyncsMax: 100_001, DeadMemberRemovalSeconds: 86_401, MinVoters: 3},
		},
		"entry-sync": &Sync{
			RequestID: goldenID(2), SyncID: "sync_01", Org: "org_a", KeyID: "key_01", Store: "vs_a", Mode: Incremental,
			Timestamp: 1_700_000_000_123_456_789, HasTimestamp: true,
			Operations: []Operation{
				{
					Action: Upsert, Namespace: "docs", ID: "a/b", Hash: testHash("1"), Data: []byte(`{"n":1}`), File: []byte(`{}`),
					SourceSystem: []byte("crm"), CreatedAt: []byte("2024-01-01T00:00:00Z"), UpdatedAt: []byte("2024-01-02T00:00:00Z"),
				},
				{Action: Delete, Namespace: "old", ID: "…"},
				{Action: Upsert, Namespace: "docs", ID: "empty", Hash: testHash("2"), Data: []byte{}},
				{Action: Upsert, Namespace: "docs", ID: "none", Hash: testHash("3")},
			},
		},
		"entry-sync-empty": &Sync{
			RequestID: goldenID(3), SyncID: "sync_02", Org: "org_a", KeyID: "key_01", Store: "vs_a", Mode: Incremental,
		},
		"entry-sync-refresh": &Sync{
			RequestID: goldenID(4), SyncID: "sync_03", Org: "org_a", KeyID: "key_01", Store: "vs_a", Mode: FullRefresh,
			Operations: []Operation{remove("docs", "x")},
		},
		"entry-sync-reject": &Sync{
			RequestID: goldenID(9), SyncID: "sync_04", Org: "org_a", KeyID: "key_01", Store: "vs_a", Mode: Incremental,
			Timestamp: 1_700_000_000_123_456_789, HasTimestamp: true, OnStale: RejectStale,
			Operations: []Operation{remove("docs", "x")},
		},
		"entry-sync-keyed": &Sync{
			RequestID: goldenID(12), SyncID: "sync_05", Org: "org_a", KeyID: "key_01", Store: "vs_a", Mode: Incremental,
			Idempotency: Idempotency{Key: HashIdempotencyKey("POST /v1/pipeline/sync", "run-1"), Request: storage.RequestHash{requestHashVersion, 0xaa, 31: 0xbb}},
			Operations:  []Operation{remove("docs", "x")},
		},
		"entry-sync-guarded": &Sync{
			RequestID: goldenID(17), SyncID: "sync_06", Org: "org_a", KeyID: "key_01", Store: "vs_a", Mode: Incremental,
			MaxDelete: 12_345, HasMaxDelete: true, Operations: []Operation{remove("docs", "x")},
		},
		"entry-sync-checkpoint": &Sync{
			RequestID: goldenID(18), SyncID: "sync_07", Org: "org_a", KeyID: "key_01", Store: "vs_a", Mode: Incremental,
			Checkpoint: &Checkpoint{"crm/contacts", []byte(`{"bookmark": 7}`)},
		},
		"entry-sync-omitted": &Sync{
			RequestID: goldenID(19), SyncID: "sync_08", Org: "org_a", KeyID: "key_01", Store: "vs_a", Mode: Incremental, OmittedBytes: 8,
			Operations: []Operation{
				{Action: Upsert, Namespace: "docs", ID: "a/b", Hash: testHash("1"), Omitted: true},
				{Action: Upsert, Namespace: "docs", ID: "c", Hash: testHash("2"), Data: []byte(`{"n":2}`)},
			},
		},
		"entry-collect": &Collect{
			RequestID: goldenID(10), Store: 3, Namespace: "docs", Generation: 7, After: "a", Until: "b/c",
			Before: 61_000_000_001, Oldest: 62_000_000_002,
		},
		"entry-mark": &Mark{
			RequestID: goldenID(15), Previous: storage.Mark{Index: 0x0102030405060708, Chain: 0x1112131415161718}, Scrub: true,
		},
		"entry-mark-first":        &Mark{RequestID: goldenID(16)},
		"entry-namespace-delete":  &NamespaceDelete{RequestID: goldenID(18), Org: "org_a", KeyID: "key_01", Store: "vs_a", Namespace: "docs"},
		"entry-checkpoint-delete": &CheckpointDelete{RequestID: goldenID(22), Org: "org_a", KeyID: "key_01", Pipeline: "crm/contacts"},
		"entry-store-delete":      &StoreDelete{RequestID: goldenID(19), Org: "org_a", Store: "vs_b"},
		"entry-org-delete":        &OrgDelete{RequestID: goldenID(20), Org: "org_a"},
		"entry-purge":             &Purge{RequestID: goldenID(21), Org: 7},
		"entry-reconcile":         &Reconcile{RequestID: goldenID(17), Store: 3, Namespace: "docs", Generation: 7},
		"entry-version-raise":     &VersionRaise{RequestID: goldenID(17), Version: 0x01020304},
		"entry-change-collect": &ChangeCollect{
			RequestID: goldenID(13), Store: 3, After: storage.Seq{Index: 0x0102030405060708, Offset: 9}, Until: storage.Seq{Index: 0x0102030405060709, Offset: 8},
		},
		"entry-collect-bare": &Collect{RequestID: goldenID(11), Store: 3, Namespace: "docs", Generation: 7},
		"entry-key-create": &KeyCreate{
			RequestID: goldenID(5), KeyID: "key_01", Org: "org_a", Name: "loader", SecretHash: [32]byte{1, 31: 2}, DefaultStore: "vs_a",
			LifetimeSeconds: 7_776_000, Scope: Scope{MayRead | MayUpsert | MayFullRefresh, []string{"vs_a", "vs_b"}, []string{"docs*", "n"}},
		},
		"entry-key-create-bare": &KeyCreate{RequestID: goldenID(6), KeyID: "key_02", Org: "org_b"},
		"entry-key-revoke":      &KeyRevoke{RequestID: goldenID(7), KeyID: "key_01"},
		"entry-settings-set":    &SettingsSet{RequestID: goldenID(13), Figures: []FigureValue{{1, 10_000}, {2, 60_060}, {5, 0}}},
		"entry-key-rotate": &KeyRotate{
			RequestID: goldenID(16), KeyID: "key_01", NewKeyID: "key_02", SecretHash: [32]byte{3, 31: 4}, OverlapSeconds: 86_400,
		},
		"entry-limits-set":           &LimitsSet{RequestID: goldenID(14), Org: "org_a", Figures: []FigureValue{{1, 250}}},
		"entry-token-create":         &TokenCreate{RequestID: goldenID(23), TokenID: "jt_01", SecretHash: [32]byte{5, 31: 6}, LifetimeSeconds: 3600},
		"entry-token-use":            &TokenUse{RequestID: goldenID(24), TokenID: "jt_01", NodeID: "n2", With: [32]byte{7, 31: 8}},
		"entry-gossip-key-add":       &GossipKeyAdd{RequestID: goldenID(26), Key: storage.GossipKey{9, 31: 10}},
		"entry-gossip-key-add-first": &GossipKeyAdd{RequestID: goldenID(27), Key: storage.GossipKey{11, 31: 12}, First: true},
		"entry-admin-token-set":      &AdminTokenSet{RequestID: goldenID(31), Hash: [32]byte{13, 31: 14}},
		"entry-gossip-key-advance":   &GossipKeyAdvance{RequestID: goldenID(28), Revision: 0x0102030405060708},
		"entry-token-revoke":         &TokenRevoke{RequestID: goldenID(25), TokenID: "jt_01"},
		"entry-store-create":         &StoreCreate{RequestID: goldenID(8), Org: "org_a", Store: "vs_b"},
		"entry-ca-rotation-begin":    &CARotationBegin{RequestID: goldenID(29), CA: []byte("certificate"), Replaces: [32]byte{9, 31: 10}},
		"entry-ca-rotation-advance":  &CARotationAdvance{RequestID: goldenID(30), CA: [32]byte{11, 31: 12}, To: RotationIssue},
	}
}

func goldenResults() map[string]*Result {
	return map[string]*Result{
		"result-created": {Outcome: OK, Index: 7, Created: true},
		"result-revoked": {Outcome: KeyNotFound, Index: 1 << 40},
		"result-denied":  {Outcome: KeyScopeDenied, Index: 14, Sync: &SyncResult{SyncID: "sync_06"}},
		"result-sync": {Outcome: OK, Index: 12, Sync: &SyncResult{
			SyncID: "sync_01", Counts: Counts{Upserted: 300, Deleted: 2, Skipped: 1},
			ByNamespace: []NamespaceCounts{
				{Namespace: "docs", Counts: Counts{Upserted: 300}},
				{Namespace: "old", Counts: Counts{Deleted: 2, Skipped: 1}},
			},
			Details: Details{Created: 100, Updated: 150, Unchanged: 50, Removed: 1_000_000},
			Window:  Window{Limit: 100, Remaining: 99, ResetMillis: 60_060, WindowMillis: 60_060},
		}},
		"result-stale": {Outcome: StaleSync, Index: 13, Sync: &SyncResult{
			SyncID: "sync_04", Window: Window{Limit: 100, Remaining: 100, WindowMillis: 60_060},
		}},
		"result-replayed": {Outcome: Replayed, Index: 12, Sync: &SyncResult{
			SyncID: "sync_01", Counts: Counts{Deleted: 1}, ByNamespace: []NamespaceCounts{{Namespace: "docs", Counts: Counts{Deleted: 1}}},
			Window: Window{Limit: 100, Remaining: 98, ResetMillis: 5, WindowMillis: 60_060},
		}},
		"result-quota": {Outcome: QuotaExceeded, Index: 15, Sync: &SyncResult{
			SyncID: "sync_06", Window: Window{Limit: 100, Remaining: 100, WindowMillis: 60_060},
			Excess: &Excess{Quota: QuotaBytes, Figure: 1_000_001, Limit: 1_000_000},
		}},
		"result-guarded": {Outcome: DeleteGuard, Index: 14, Sync: &SyncResult{
			SyncID: "sync_06", Window: Window{Limit: 100, Remaining: 100, WindowMillis: 60_060}, Losses: &Losses{Live: 1_000_000, Removed: 300, Limit: 29},
		}},
		"result-checkpoint-skipped": {Outcome: OK, Index: 15, Sync: &SyncResult{
			SyncID: "sync_07", CheckpointSkipped: true, Window: Window{Limit: 100, Remaining: 99, ResetMillis: 60_060, WindowMillis: 60_060},
		}},
		"result-bytes-limited": {Outcome: RateLimited, Index: 16, Sync: &SyncResult{
			SyncID: "sync_09", Window: Window{Limit: 100, Remaining: 98, ResetMillis: 41_000, WindowMillis: 60_060}, RetryMillis: 51_000,
		}},
		"result-too-many-refusals": {Outcome: TooManyRefusals, Sync: &SyncResult{
			SyncID: "sync_08", Window: Window{Limit: 100, Remaining: 100, WindowMillis: 60_060}, RetryMillis: 3000,
		}},
		"result-too-old": {Outcome: SyncTooOld},
		"result-rate-limited": {Outcome: RateLimited, Sync: &SyncResult{
			SyncID: "sync_02", Window: Window{Limit: 100, ResetMillis: 1, WindowMillis: 60_060},
		}},
	}
}

func goldenSnapshotHeader() *snapshotHeader {
	return &snapshotHeader{
		Epoch: storage.Epoch(goldenID(0x20)), AppliedIndex: 12, AppliedTerm: 3, ClusterVersion: 1, ClusterID: "cl_01",
		Files: []snapshotFile{
			{Name: "000004.sst", Size: 4096, Sum: 0xdeadbeef},
			{Name: "MANIFEST-000001", Size: 123, Sum: 1},
			{Name: "OPTIONS-000003", Size: 0, Sum: 0},
		},
	}
}

func goldenSnapshotMeta() *snapshotMeta {
	return &snapshotMeta{
		Index: 14, Term: 4, ConfigurationIndex: 3, Database: "db-0000000002", Header: *goldenSnapshotHeader(),
		Configuration: raft.Configuration{Servers: []raft.Server{
			{Suffrage: raft.Voter, ID: "n1", Address: "10.0.0.1:8801"},
			{Suffrage: raft.Nonvoter, ID: "n2", Address: "[::1]:8801"},
		}},
	}
}

func goldenStamp() Stamp {
	return Stamp{Term: 3, ClusterTime: 61_000_000_001, WallTime: 1_700_000_000_123_456_789}
}

func TestGoldenEntries(t *testing.T) {
	for name, cmd := range goldenCommands() {
		body, err := Encode(cmd)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, name, body)
	}
}

// TestEveryKindHasAGolden: a kind that no golden file shows may change unseen.
func TestEveryKindHasAGolden(t *testing.T) {
	shown := map[Kind]bool{}
	for name := range goldenCommands() {
		shown[Kind(readGolden(t, name)[0])] = true
	}
	for k, format := range decoders {
		if format.decode != nil && !shown[Kind(k)] {
			t.Errorf("no golden file of entry kind %d", k)
		}
	}
}

func TestGoldenResults(t *testing.T) {
	for name, r := range goldenResults() {
		golden(t, name, r.Encode())
	}
}

func TestGoldenStamp(t *testing.T) {
	golden(t, "stamp", EncodeStamp(goldenStamp(), []byte("the body")))
}

func TestGoldenSnapshotHeader(t *testing.T) {
	b, err := goldenSnapshotHeader().encode()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "snapshot-header", b)
}

func TestGoldenSnapshotMeta(t *testing.T) {
	b, err := goldenSnapshotMeta().encode()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "snapshot-meta", b)
}
