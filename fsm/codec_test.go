package fsm

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/s2"

	"pipesync/storage"
)

func TestEntriesComeBack(t *testing.T) {
	for name, cmd := range goldenCommands() {
		body := readGolden(t, name)
		got, err := Decode(body)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		clear(body) // of which a command keeps nothing
		if diff := cmp.Diff(cmd, got); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", name, diff)
		}
	}
}

func TestEncodeSyncKeepsNothingOfItsBuffers(t *testing.T) {
	first := bigSync(0, 1)
	body, err := Encode(first)
	if err != nil {
		t.Fatal(err)
	}
	saved := bytes.Clone(body)
	if _, err := Encode(bigSync(9, 2)); err != nil { // takes the pooled buffer
		t.Fatal(err)
	}
	if !bytes.Equal(body, saved) {
		t.Error("a body changed when another was encoded")
	}
	got, err := Decode(body)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, got); diff != "" {
		t.Error(diff)
	}
}

func TestHeaders(t *testing.T) {
	want := map[string]Header{
		"entry-bootstrap": {Kind: KindBootstrap, Version: 1, RequestID: goldenID(1)},
		"entry-sync": {
			Kind: KindSync, Version: 1, RequestID: goldenID(2), SyncID: "sync_01", Org: "org_a", KeyID: "key_01", Store: "vs_a",
			Mode: Incremental, Timestamp: 1_700_000_000_123_456_789, HasTimestamp: true, OpCount: 4, RawBytes: 144,
		},
		"entry-key-create": {Kind: KindKeyCreate, Version: 1, RequestID: goldenID(5)},
		"entry-key-revoke": {Kind: KindKeyRevoke, Version: 1, RequestID: goldenID(7)},
		"entry-sync-reject": {
			Kind: KindSync, Version: 1, RequestID: goldenID(9), SyncID: "sync_04", Org: "org_a", KeyID: "key_01", Store: "vs_a",
			Mode: Incremental, Timestamp: 1_700_000_000_123_456_789, HasTimestamp: true, OnStale: RejectStale, OpCount: 1, RawBytes: 11,
		},
		"entry-mark":         {Kind: KindMark, Version: 1, RequestID: goldenID(15)},
		"entry-collect":      {Kind: KindCollect, Version: 1, RequestID: goldenID(10)},
		"entry-store-create": {Kind: KindStoreCreate, Version: 1, RequestID: goldenID(8)},
	}
	for name, h := range want {
		got, err := DecodeHeader(readGolden(t, name))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(h, got); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", name, diff)
		}
	}
}

func TestEncodeRefuses(t *testing.T) {
	long := strings.Repeat("x", MaxNameBytes+1)
	edit := func(change func(*Sync)) *Sync {
		s := newSync(Incremental, upsert("ns", "id", "{}"))
		change(s)
		return s
	}
	cases := map[string]Command{
		"operations":                  edit(func(s *Sync) { s.Operations = make([]Operation, MaxOperations+1) }),
		"mode":                        edit(func(s *Sync) { s.Mode = 3 }),
		"names no namespace":          edit(func(s *Sync) { s.Mode, s.Operations = FullRefresh, nil }),
		"timestamp":                   edit(func(s *Sync) { s.Timestamp = 1 }),
		"before 1970":                 edit(func(s *Sync) { s.Timestamp, s.HasTimestamp = -1, true }),
		"on stale":                    edit(func(s *Sync) { s.OnStale = 2 }),
		"a guard of 100001":           edit(func(s *Sync) { s.MaxDelete, s.HasMaxDelete = AllDeleted+1, true }),
		"a guard of 5":                edit(func(s *Sync) { s.MaxDelete = 5 }),
		"pipeline has 0":              edit(func(s *Sync) { s.checkpointed("", "1") }),
		"state has 0":                 edit(func(s *Sync) { s.checkpointed("p", "") }),
		"state has 65537":             edit(func(s *Sync) { s.checkpointed("p", strings.Repeat("1", MaxCheckpointBytes+1)) }),
		"range ends":                  &Collect{Namespace: "n", After: "b", Until: "b"},
		"before bootstrap":            &Collect{Namespace: "n", Before: -1},
		"version 0":                   &VersionRaise{},
		"no mark":                     &Mark{Previous: storage.Mark{Chain: 1}},
		"action":                      edit(func(s *Sync) { s.Operations[0].Action = 3 }),
		"id":                          edit(func(s *Sync) { s.Operations[0].ID = "" }),
		"namespace":                   edit(func(s *Sync) { s.Operations[0].Namespace = long }),
		"content":                     edit(func(s *Sync) { s.Operations[0].Action = Delete }),
		"bytes, at most":              edit(func(s *Sync) { s.Operations[0].Data = make([]byte, MaxRawBytes) }),
		"1 contents of 0 bytes":       edit(func(s *Sync) { s.Operations[0].Omitted = true }),
		"0 contents of 1 bytes":       edit(func(s *Sync) { s.OmittedBytes = 1 }),
		"a full refresh omits":        edit(func(s *Sync) { s.Mode = FullRefresh; s.omitting(every) }),
		"sync id":                     edit(func(s *Sync) { s.SyncID = "" }),
		"store":                       edit(func(s *Sync) { s.Store = "" }),
		"key id":                      &KeyRevoke{},
		"new key id":                  &KeyRotate{KeyID: "k"},
		"token id":                    &TokenRevoke{},
		"all zeros":                   &GossipKeyAdd{First: true},
		"the hash of the admin token": &AdminTokenSet{},
		"revision 0":                  &GossipKeyAdvance{},
		"node id":                     &TokenUse{TokenID: "t"},
		"lifetime of 0 s":             &TokenCreate{TokenID: "t"},
		"lifetime of 3601 s":          &TokenCreate{TokenID: "t", LifetimeSeconds: MaxTokenLifetimeSeconds + 1},
		"of 0 bytes":                  &CARotationBegin{},
		"of 8193 bytes":               &CARotationBegin{CA: make([]byte, MaxCABytes+1)},
		"to phase 1":                  &CARotationAdvance{To: RotationTrust},
		"to phase 5":                  &CARotationAdvance{To: RotationDone + 1},
		"organization":                &StoreCreate{Store: "vs_a"},
		"default store":               &KeyCreate{KeyID: "k", Org: "o", DefaultStore: long},
		"cluster id":                  &Bootstrap{},
		"no figure":                   &SettingsSet{},
		"figure 200":                  &SettingsSet{Figures: []FigureValue{{200, 1}}},
		"out of order":                &SettingsSet{Figures: []FigureValue{{2, 1000}, {1, 1}}},
		"window_ms is 3600001: it must be a whole number from 1000 to 3600000": &SettingsSet{Figures: []FigureValue{{2, 3_600_001}}},
		"epoch":                    &Bootstrap{ClusterID: "c", Settings: testBootstrap(1).Settings},
		"requests_per_window is 0": &Bootstrap{ClusterID: "c", Epoch: testBootstrap(1).Epoch},
	}
	for want, cmd := range cases {
		if _, err := Encode(cmd); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// Every byte of a body is covered: no single changed or missing byte decodes.
func TestDecodeRefusesDamage(t *testing.T) {
	for name := range goldenCommands() {
		body := readGolden(t, name)
		for i := range body {
			damaged := bytes.Clone(body)
			damaged[i] ^= 0x41
			if cmd, err := Decode(damaged); err == nil {
				t.Errorf("%s with byte %d changed: %+v", name, i, cmd)
			} else if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrUnknownFormat) {
				t.Errorf("%s with byte %d changed: unclassified %v", name, i, err)
			}
			if _, err := Decode(body[:i]); !errors.Is(err, ErrCorrupt) {
				t.Errorf("%s cut to %d bytes: %v", name, i, err)
			}
		}
		if _, err := Decode(append(bytes.Clone(body), 0)); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s with a byte more: %v", name, err)
		}
	}
}

// A sealed body that no encoder makes would be a poison entry.
func TestDecodeRefusesWhatEncodeNeverWrites(t *testing.T) {
	op := func(flags, ns, idBytes byte) []byte { return []byte{flags, ns, idBytes} }
	cases := map[string][]byte{
		"an unused namespace":           join("\x02\x01a\x01b\x01x", op(2, 0, 1)),
		"a namespace named twice":       join("\x02\x01a\x01a\x02xy", op(2, 0, 1), op(2, 1, 1)),
		"namespaces out of order":       join("\x02\x01a\x01b\x02xy", op(2, 1, 1), op(2, 0, 1)),
		"a namespace out of range":      join("\x01\x01a\x01x", op(2, 1, 1)),
		"an empty id":                   join("\x01\x01a\x01x", op(2, 0, 0)),
		"ids left over":                 join("\x01\x01a\x02xy", op(2, 0, 1)),
		"an id beyond the ids":          join("\x01\x01a\x01x", op(2, 0, 2)),
		"action 0":                      join("\x01\x01a\x01x", op(0, 0, 1)),
		"action 3":                      join("\x01\x01a\x01x", op(3, 0, 1)),
		"a delete with data":            join("\x01\x01a\x01x", op(2|opHasData, 0, 1), []byte{0}),
		"a delete that omits":           join("\x01\x01a\x01x", op(2|opOmitted, 0, 1)),
		"contents omitted and there":    join("\x01\x01a\x01x", op(1|opOmitted|opHasData, 0, 1), make([]byte, 16), []byte{1, 1}),
		"omitted contents of no bytes":  join("\x01\x01a\x01x", op(1|opOmitted, 0, 1), make([]byte, 16)),
		"an upsert without hash":        join("\x01\x01a\x01x", op(1, 0, 1)),
		"data that is cut":              join("\x01\x01a\x01x", op(1|opHasData, 0, 1), make([]byte, 16), []byte{5, 1}),
		"a long form of a number":       join("\x01\x01a\x01x", []byte{2, 0x80, 0, 1}),
		"bytes after the operations":    join("\x01\x01a\x01x", op(2, 0, 1), []byte{0}),
		"an empty name":                 join("\x01\x00\x01x", op(2, 0, 1)),
		"more namespaces than bytes":    join("\xff\x26aaaa"),
		"more namespaces than the caps": join("\xff\xff\x03aaaaa"),
	}
	for name, raw := range cases {
		count := uint32(1)
		if strings.Contains(name, "twice") || strings.Contains(name, "out of order") {
			count = 2
		}
		_, err := Decode(rawSync(count, uint32(len(raw)), s2.Encode(nil, raw)))
		if !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDecodeChecksLengthsBeforeItAllocates(t *testing.T) {
	huge := s2.Encode(nil, make([]byte, MaxRawBytes+1))
	small := s2.Encode(nil, join("\x01\x01a\x01x", []byte{2, 0, 1}))
	cases := map[string][]byte{
		"raw length over the cap":   rawSync(1, MaxRawBytes+1, huge),
		"block longer than it says": rawSync(1, 7, huge),
		"block shorter":             rawSync(1, 70, small),
		"no block":                  rawSync(1, 7, nil),
		"operations over the cap":   rawSync(MaxOperations+1, 1<<20, s2.Encode(nil, make([]byte, 1<<20))),
		"operations without bytes":  rawSync(MaxOperations, 7, small),
	}
	for name, body := range cases {
		if _, err := Decode(body); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
		perRun := testing.AllocsPerRun(1, func() { _, _ = Decode(body) })
		if perRun > 40 {
			t.Errorf("%s: %v allocations", name, perRun)
		}
	}
}

func join(head string, parts ...[]byte) []byte {
	return append([]byte(head), bytes.Join(parts, nil)...)
}

// rawSync seals a sync body around any block.
func rawSync(count, rawBytes uint32, block []byte) []byte {
	e := beginEntry(KindSync, RequestID{}, 0)
	e.raw([]byte{0, byte(Incremental)})
	e.u64(0)
	for _, name := range []string{testOrg, testKey, testStore, "sync_1"} {
		e.text(name)
	}
	e.u32(count)
	e.u32(rawBytes)
	e.raw(block)
	return sealEntry(e.b)
}

func TestUnknownKindsAndVersions(t *testing.T) {
	body := readGolden(t, "entry-key-revoke")
	for at, value := range map[int]byte{0: byte(len(decoders)), 1: 2} {
		changed := bytes.Clone(body)
		changed[at] = value
		sealEntry(changed)
		_, err := Decode(changed)
		_, headerErr := DecodeHeader(changed)
		if !errors.Is(err, ErrUnknownFormat) || !errors.Is(headerErr, ErrUnknownFormat) {
			t.Errorf("byte %d = %d: %v, %v", at, value, err, headerErr)
		}
	}
	result := readGolden(t, "result-created")
	result[1] = 2
	if _, err := DecodeResult(result); !errors.Is(err, ErrUnknownFormat) {
		t.Error(err)
	}
	stamp := readGolden(t, "stamp")
	stamp[1] = 2
	if _, err := DecodeStamp(stamp, nil); !errors.Is(err, ErrUnknownFormat) {
		t.Error(err)
	}
}

func TestStamp(t *testing.T) {
	body := []byte("the body")
	ext := EncodeStamp(goldenStamp(), body)
	if got, err := DecodeStamp(ext, body); err != nil || got != goldenStamp() {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := DecodeStamp(ext, []byte("the bodY")); !errors.Is(err, ErrCorrupt) {
		t.Errorf("another body: %v", err)
	}
	for i := range ext {
		damaged := bytes.Clone(ext)
		damaged[i] ^= 1
		if s, err := DecodeStamp(damaged, body); err == nil {
			t.Errorf("byte %d changed: %+v", i, s)
		}
		if _, err := DecodeStamp(ext[:i], body); !errors.Is(err, ErrCorrupt) {
			t.Errorf("cut to %d: %v", i, err)
		}
	}
}

func TestResultsComeBack(t *testing.T) {
	for name, want := range goldenResults() {
		b := want.Encode()
		got, err := DecodeResult(b)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", name, diff)
		}
		for i := range b {
			if _, err := DecodeResult(b[:i]); !errors.Is(err, ErrCorrupt) {
				t.Errorf("%s cut to %d: %v", name, i, err)
			}
		}
	}
	many := &SyncResult{SyncID: "s"}
	for i := range MaxOperations {
		many.ByNamespace = append(many.ByNamespace, NamespaceCounts{Namespace: fmt.Sprint("ns", i), Counts: Counts{Upserted: 1}})
	}
	if got, err := DecodeResult((&Result{Outcome: OK, Sync: many}).Encode()); err != nil || len(got.Sync.ByNamespace) != MaxOperations {
		t.Error(err)
	}
}

func TestSnapshotHeader(t *testing.T) {
	want := goldenSnapshotHeader()
	b, err := want.encode()
	if err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(bytes.NewReader(append(bytes.Clone(b), "files"...)))
	got, err := readSnapshotHeader(r)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if rest, _ := r.Peek(6); string(rest) != "files" {
		t.Errorf("left in the stream: %q", rest)
	}
	for i := range b {
		damaged := bytes.Clone(b)
		damaged[i] ^= 0x41
		if _, err := readSnapshotHeader(bufio.NewReader(bytes.NewReader(damaged))); err == nil {
			t.Errorf("byte %d changed: accepted", i)
		}
		if _, err := readSnapshotHeader(bufio.NewReader(bytes.NewReader(b[:i]))); !errors.Is(err, ErrCorrupt) {
			t.Errorf("cut to %d: %v", i, err)
		}
	}
}

func TestSnapshotMetaRefusesDamage(t *testing.T) {
	b, err := goldenSnapshotMeta().encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := decodeSnapshotMeta(b)
	if diff := cmp.Diff(goldenSnapshotMeta(), got); err != nil || diff != "" {
		t.Fatal(err, diff)
	}
	for i := range b {
		damaged := bytes.Clone(b)
		damaged[i] ^= 0x40
		if _, err := decodeSnapshotMeta(damaged); err == nil {
			t.Errorf("byte %d changed: accepted", i)
		}
		if _, err := decodeSnapshotMeta(b[:i]); !errors.Is(err, ErrCorrupt) {
			t.Errorf("cut to %d: %v", i, err)
		}
	}
	huge := goldenSnapshotMeta()
	huge.Header.Files = []snapshotFile{{Name: "a", Size: math.MaxInt64}, {Name: "b", Size: 1}}
	if _, err := huge.raftMeta("1"); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a stream longer than can be: %v", err)
	}
}

func TestSnapshotHeaderRefusesNamesThatLeadOut(t *testing.T) {
	for _, name := range []string{"", ".", "..", "../x", "a/b", ".hidden", "a\x00", "é", "a b", strings.Repeat("x", 256)} {
		h := &snapshotHeader{Files: []snapshotFile{{Name: name}}}
		b, err := h.encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := readSnapshotHeader(bufio.NewReader(bytes.NewReader(b))); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, files := range [][]snapshotFile{{{Name: "b"}, {Name: "a"}}, {{Name: "a"}, {Name: "a"}}, {{Name: "a", Size: -1}}} {
		b, err := (&snapshotHeader{Files: files}).encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := readSnapshotHeader(bufio.NewReader(bytes.NewReader(b))); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%v: %v", files, err)
		}
	}
}
