package fsm

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/s2"
)

// classified fails where a decoder's error has no class.
func classified(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrUnknownFormat) {
		t.Errorf("unclassified error: %v", err)
	}
}

// FuzzDecodeEntry mends the checksum, so that what is behind it is reached.
// What decodes must encode, and come back equal.
func FuzzDecodeEntry(f *testing.F) {
	for name := range goldenCommands() {
		f.Add(readGolden(f, name))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if len(body) >= entrySumEnd {
			body = sealEntry(bytes.Clone(body))
		}
		cmd, err := Decode(body)
		if err != nil {
			classified(t, err)
			return
		}
		if _, err := DecodeHeader(body); err != nil {
			t.Errorf("an entry that decodes has no header: %v", err)
		}
		again, err := Encode(cmd)
		if err != nil {
			t.Fatalf("what was decoded can't be encoded: %v", err)
		}
		back, err := Decode(again)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(cmd, back); diff != "" {
			t.Error(diff)
		}
	})
}

// goldenOperations returns how many operations a sync has, and their block.
func goldenOperations(t testing.TB, name string) (count uint16, raw []byte) {
	t.Helper()
	d := decoder{b: readGolden(t, name)[entryPrefixed:]}
	var h Header
	h.decodeSyncFields(&d)
	raw, err := inflate(nil, d.b, h.RawBytes)
	if err != nil {
		t.Fatal(err)
	}
	return uint16(h.OpCount), raw
}

// FuzzDecodeOperations is FuzzDecodeEntry behind the compression.
func FuzzDecodeOperations(f *testing.F) {
	for _, name := range []string{"entry-sync", "entry-sync-empty", "entry-sync-refresh", "entry-sync-reject"} {
		count, raw := goldenOperations(f, name)
		f.Add(count, raw)
	}
	f.Fuzz(func(t *testing.T, count uint16, raw []byte) {
		cmd, err := Decode(rawSync(uint32(count), uint32(len(raw)), s2.Encode(nil, raw)))
		if err != nil {
			classified(t, err)
			return
		}
		s := cmd.(*Sync)
		plan, err := planSync(s)
		if err != nil {
			t.Fatalf("what was decoded can't be encoded: %v", err)
		}
		if !bytes.Equal(plan.appendRaw(nil, s), raw) {
			t.Errorf("%x has two encodings", raw)
		}
	})
}

func FuzzDecodeStamp(f *testing.F) {
	f.Add(readGolden(f, "stamp"), []byte("the body"))
	f.Add([]byte{}, []byte{})
	f.Fuzz(func(t *testing.T, ext, body []byte) {
		if len(ext) == stampBytes {
			ext = bytes.Clone(ext)
			binary.BigEndian.PutUint32(ext[stampSumAt:], stampSum(ext[:stampSumAt], body))
		}
		s, err := DecodeStamp(ext, body)
		if err != nil {
			classified(t, err)
			return
		}
		if !bytes.Equal(EncodeStamp(s, body), ext) {
			t.Errorf("%x has two encodings", ext)
		}
	})
}

func FuzzDecodeResult(f *testing.F) {
	for name := range goldenResults() {
		f.Add(readGolden(f, name))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := DecodeResult(b)
		if err != nil {
			classified(t, err)
			return
		}
		if !bytes.Equal(r.Encode(), b) {
			t.Errorf("%x has two encodings", b)
		}
	})
}

// FuzzReadSnapshotHeader mends length and checksum.
func FuzzReadSnapshotHeader(f *testing.F) {
	f.Add(readGolden(f, "snapshot-header"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if n := len(b) - snapshotPrefixBytes - 4; n >= 0 {
			e := encoder{bytes.Clone(b[:snapshotPrefixBytes+n])}
			binary.BigEndian.PutUint32(e.b[2:], uint32(n))
			e.u32(stampSum(e.b, nil))
			b = e.b
		}
		h, err := readSnapshotHeader(bufio.NewReader(bytes.NewReader(b)))
		if err != nil {
			classified(t, err)
			return
		}
		again, err := h.encode()
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(again, b) {
			t.Errorf("%x has two encodings", b)
		}
	})
}

// FuzzDecodeSnapshotMeta mends the checksum.
func FuzzDecodeSnapshotMeta(f *testing.F) {
	f.Add(readGolden(f, "snapshot-meta"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) >= metaSumEnd {
			b = bytes.Clone(b)
			binary.BigEndian.PutUint32(b[metaSumAt:], metaSum(b))
		}
		m, err := decodeSnapshotMeta(b)
		if err != nil {
			classified(t, err)
			return
		}
		again, err := m.encode()
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(again, b) {
			t.Errorf("%x has two encodings", b)
		}
	})
}
