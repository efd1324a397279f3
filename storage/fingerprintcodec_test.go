package storage

import (
	"testing"

	"pgregory.net/rapid"
)

// TestDecodeFingerprint: what is decoded at once is what decode makes of it, errors too.
func TestDecodeFingerprint(t *testing.T) {
	key := appendFingerprintKey(nil, 1, 1, 1, "id")
	rapid.Check(t, func(t *rapid.T) {
		f := Fingerprint{
			SyncTimestamp: rapid.Int64().Draw(t, "timestamp"),
			Changed:       Seq{rapid.Uint64().Draw(t, "index"), rapid.Uint32().Draw(t, "offset")},
			Hash:          Hash(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "hash")),
			Size:          rapid.SampledFrom([]uint32{0, 1, 127, 128, 255, 16383, 16384, 1 << 31}).Draw(t, "size"),
		}
		if rapid.Bool().Draw(t, "tombstone") {
			f.Tombstone, f.Hash, f.Size, f.BuriedAt = true, Hash{}, 0, rapid.Int64().Draw(t, "buried")
		}
		value := encodeRow(f)
		switch rapid.IntRange(0, 3).Draw(t, "damage") {
		case 1:
			value[rapid.SampledFrom([]int{0, 1, len(value) - 2, len(value) - 1}).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
		case 2:
			value = value[:rapid.IntRange(0, len(value)).Draw(t, "bytes")]
		case 3:
			value = append(value, rapid.Byte().Draw(t, "byte"))
		}
		var want Fingerprint
		wantErr := decodeRow(key, value, &want)
		got, err := decodeFingerprint(key, value)
		if (err == nil) != (wantErr == nil) || err == nil && got != want {
			t.Fatalf("%x: %+v, %v; want %+v, %v", value, got, err, want, wantErr)
		}
	})
}
