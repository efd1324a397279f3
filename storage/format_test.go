package storage

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestFormatGolden pins every byte of every key and row. A difference means
// that databases on disk can't be read any more: give the row a new version
// instead of updating the file.
func TestFormatGolden(t *testing.T) {
	for _, s := range samples() {
		path := filepath.Join("testdata", strings.ReplaceAll(s.name, " ", "_")+".golden")
		got := fmt.Sprintf("key\n%svalue\n%s", hex.Dump(s.key), hex.Dump(s.value))
		if *update {
			check(t, os.WriteFile(path, []byte(got), 0o644))
		}
		want, err := os.ReadFile(path)
		check(t, err)
		if got != string(want) {
			t.Errorf("%s is\n%swant\n%s", s.name, got, want)
		}
	}
}

// TestEveryKindHasASample: a kind of row that no sample shows has no golden file.
func TestEveryKindHasASample(t *testing.T) {
	shown := map[kind]bool{}
	for _, s := range samples() {
		shown[kind(s.key[0])] = true
	}
	for k := range 256 {
		known := (rowKey{kind: kind(k)}).String() != fmt.Sprintf("row of kind 0x%02x", k)
		if known && !shown[kind(k)] {
			t.Errorf("no sample of kind 0x%02x", k)
		}
	}
}

// TestFormatComesBack shows that keys and rows decode to what was encoded.
func TestFormatComesBack(t *testing.T) {
	for _, s := range samples() {
		k, err := parseKey(s.key)
		if err != nil {
			t.Errorf("%s: %v", s.name, err)
			continue
		}
		if got := k.rebuild(); !bytes.Equal(got, s.key) {
			t.Errorf("%s: key comes back as %x, want %x", s.name, got, s.key)
		}
		got, err := recodeRow(k.kind, s.value)
		if err != nil || !bytes.Equal(got, s.value) {
			t.Errorf("%s: value comes back as %x, %v, want %x", s.name, got, err, s.value)
		}
	}
}

// TestContentIsACopy: Pebble uses the memory that a row is decoded from again.
func TestContentIsACopy(t *testing.T) {
	want := Content{Data: []byte("d"), File: []byte("f"), SourceSystem: []byte("s"), CreatedAt: []byte("c"), UpdatedAt: []byte("u"), SyncID: "i"}
	row := encodeRow(want)
	var got Content
	r := reader{b: row, what: "value"}
	got.decode(&r)
	check(t, r.done())
	clear(row)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("content after its row was overwritten (-want +got):\n%s", diff)
	}
}

// TestDecodeDamaged cuts each row at every length, lengthens it, and gives it
// versions and flags that don't exist: no such row may pass.
func TestDecodeDamaged(t *testing.T) {
	for _, s := range samples() {
		k := kind(s.key[0])
		damaged := map[string][]byte{"longer": append(bytes.Clone(s.value), 0)}
		for n := range s.value {
			damaged[fmt.Sprintf("cut to %d", n)] = s.value[:n]
		}
		for _, version := range []byte{0, 2, 0xff} {
			b := bytes.Clone(s.value)
			b[0] = version
			damaged[fmt.Sprintf("version %d", version)] = b
		}
		if k == kindFingerprint || k == kindContent || k == kindHistory {
			b := bytes.Clone(s.value)
			b[1] |= 0x80
			damaged["flags"] = b
		}
		if k == kindNamespace {
			b := bytes.Clone(s.value)
			b[77] |= 0x80
			damaged["flags"] = b
		}
		for what, value := range damaged {
			if _, err := recodeRow(k, value); !errors.Is(err, ErrCorrupt) {
				t.Errorf("%s %s: error %v, want ErrCorrupt", s.name, what, err)
			}
		}
	}
}

func TestParseKeyDamaged(t *testing.T) {
	for name, key := range map[string][]byte{
		"empty":             {},
		"kind zero":         {0},
		"unknown kind":      {0x99, 1, 2, 3},
		"system with more":  {byte(kindSystem), 0},
		"marks with more":   append(appendMarksKey(nil), 0),
		"short store":       {byte(kindStore), 0, 0, 1},
		"short org key":     {byte(kindOrgKey), 0, 0, 1},
		"short usage":       appendUsageKey(nil, 1, 2)[:8],
		"long usage":        append(appendUsageKey(nil, 1, 2), 0),
		"short slot":        appendWindowSlotKey(nil, 1, 2)[:9],
		"long slot":         append(appendWindowSlotKey(nil, 1, 2), 0),
		"short history":     appendHistoryKey(nil, 1, 2)[:9],
		"long history head": append(appendHistoryHeadKey(nil, 1), 0),
		"short sync id":     appendSyncIDKey(nil, 1, "")[:4],
		"short idempotency": appendIdempotencyKey(nil, 1, KeyHash{})[:36],
		"long idempotency":  append(appendIdempotencyKey(nil, 1, KeyHash{}), 0),
		"long head":         append(appendWindowHeadKey(nil, 1), 0),
		"short record":      appendFingerprintKey(nil, 1, 2, 3, "")[:12],
		"short content":     appendContentKey(nil, 1, 2, 3, Seq{4, 5})[:24],
		"long content":      append(appendContentKey(nil, 1, 2, 3, Seq{4, 5}), 0),
		"short change":      appendChangeKey(nil, 1, Seq{2, 3})[:16],
		"retired of none":   append(appendRetiredKey(nil, 1, 2, 0), 0, 0, 0, 0),
		"long change":       append(appendChangeKey(nil, 1, Seq{2, 3}), 0),
		"long name":         append(appendNamespaceNameKey(nil, 1, 2), 0),
	} {
		if k, err := parseKey(key); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: parsed as %+v, %v, want ErrCorrupt", name, k, err)
		}
	}
}

// TestLengthsAreNotTrusted: a length of 2^63 must neither allocate nor wrap.
func TestLengthsAreNotTrusted(t *testing.T) {
	huge := []byte{rowVersion, flagData, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}
	if _, err := recode[Content](huge); !errors.Is(err, ErrCorrupt) {
		t.Errorf("error %v, want ErrCorrupt", err)
	}
	padded := []byte{rowVersion, flagData, 0x00, 0x80, 0x00}
	if _, err := recode[Content](padded); !errors.Is(err, ErrCorrupt) {
		t.Errorf("padded length: error %v, want ErrCorrupt", err)
	}
}

func FuzzParseKey(f *testing.F) {
	for _, s := range samples() {
		f.Add(s.key)
		f.Add(s.key[:len(s.key)/2])
	}
	f.Fuzz(func(t *testing.T, key []byte) {
		k, err := parseKey(key)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatalf("error %v, want ErrCorrupt", err)
			}
			return
		}
		if got := k.rebuild(); !bytes.Equal(got, key) {
			t.Fatalf("key %x comes back as %x", key, got)
		}
		if k.String() == "" {
			t.Fatal("no name")
		}
	})
}

// FuzzDecodeRow: bytes either are refused, or are what encoding the row gives.
func FuzzDecodeRow(f *testing.F) {
	for _, s := range samples() {
		f.Add(s.key[0], s.value)
		f.Add(s.key[0], s.value[:len(s.value)/2])
	}
	f.Fuzz(func(t *testing.T, k byte, value []byte) {
		before := bytes.Clone(value)
		got, err := recodeRow(kind(k), value)
		if !bytes.Equal(before, value) {
			t.Fatal("decoding changed its input")
		}
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatalf("error %v, want ErrCorrupt", err)
			}
			return
		}
		if !bytes.Equal(got, value) {
			t.Fatalf("row %x comes back as %x", value, got)
		}
	})
}
