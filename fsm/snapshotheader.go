package fsm

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"pipesync/storage"
)

// A snapshot is a stream: a header, then the bytes of the files that it lists,
// one after another, and nothing after the last.
//
//	 0      1         2           6
//	┌──────┬─────────┬───────────┬──────────────────────────────┬────────┐
//	│ 0x82 │ version │ length n  │ fields … (n bytes)           │ crc32c │
//	└──────┴─────────┴───────────┴──────────────────────────────┴────────┘
//	fields: epoch (16) │ applied index (8) │ applied term (8) │ cluster version (4) │ cluster id (text) │
//	        file count (uvarint) │ of each file: name (text) │ size (8) │ crc32c of its bytes (4)
//
// The header's checksum covers all bytes before it. Names ascend; they consist
// of letters, digits, '.', '-' and '_', and don't begin with '.'.
const (
	snapshotVersion        = 1
	snapshotPrefixBytes    = 6
	snapshotHeaderMaxBytes = 16 << 20
	snapshotFilesMax       = 200_000
	snapshotFileMinBytes   = 14 // in the header: name length and a byte of name, size, checksum
	snapshotNameMaxBytes   = 255
)

// snapshotHeader says what a snapshot holds.
type snapshotHeader struct {
	Epoch          storage.Epoch
	AppliedIndex   uint64
	AppliedTerm    uint64
	ClusterVersion uint32
	ClusterID      string
	Files          []snapshotFile
}

type snapshotFile struct {
	Name string
	Size int64
	Sum  uint32
}

func newSnapshotHeader(s storage.System) snapshotHeader {
	return snapshotHeader{
		Epoch:          s.Epoch,
		AppliedIndex:   s.AppliedIndex,
		AppliedTerm:    s.AppliedTerm,
		ClusterVersion: s.ClusterVersion,
		ClusterID:      s.ClusterID,
	}
}

// matches tells whether the database that s is of is the one that h describes.
func (h *snapshotHeader) matches(s storage.System) bool {
	return h.Epoch == s.Epoch && h.AppliedIndex == s.AppliedIndex && h.AppliedTerm == s.AppliedTerm &&
		h.ClusterVersion == s.ClusterVersion && h.ClusterID == s.ClusterID
}

func (h *snapshotHeader) encode() ([]byte, error) {
	e := encoder{make([]byte, 0, 128+64*len(h.Files))}
	e.u8(formatSnapshot)
	e.u8(snapshotVersion)
	e.u32(0)
	e.raw(h.Epoch[:])
	e.u64(h.AppliedIndex)
	e.u64(h.AppliedTerm)
	e.u32(h.ClusterVersion)
	e.text(h.ClusterID)
	e.uvarint(uint64(len(h.Files)))
	for _, f := range h.Files {
		e.text(f.Name)
		e.u64(uint64(f.Size))
		e.u32(f.Sum)
	}
	n := len(e.b) - snapshotPrefixBytes
	if n > snapshotHeaderMaxBytes || len(h.Files) > snapshotFilesMax {
		return nil, fmt.Errorf("encode snapshot header: %d files, %d bytes: too many", len(h.Files), n)
	}
	binary.BigEndian.PutUint32(e.b[2:], uint32(n))
	e.u32(crc32.Checksum(e.b, castagnoli))
	return e.b, nil
}

// readSnapshotHeader reads the header and not a byte more, which is why r is a
// bufio.Reader. Memory grows with what arrives, not with the length it names.
// Errors match ErrCorrupt or ErrUnknownFormat, or are r's.
func readSnapshotHeader(r *bufio.Reader) (*snapshotHeader, error) {
	prefix := make([]byte, snapshotPrefixBytes)
	if _, err := io.ReadFull(r, prefix); err != nil {
		return nil, truncated("read snapshot header", err)
	}
	if prefix[0] != formatSnapshot {
		return nil, fmt.Errorf("read snapshot header: %w: kind %#x is no snapshot", ErrCorrupt, prefix[0])
	}
	if prefix[1] != snapshotVersion {
		return nil, fmt.Errorf("read snapshot header: version %d: %w", prefix[1], ErrUnknownFormat)
	}
	n := binary.BigEndian.Uint32(prefix[2:])
	if n > snapshotHeaderMaxBytes {
		return nil, fmt.Errorf("read snapshot header: %w: %d bytes, at most %d", ErrCorrupt, n, snapshotHeaderMaxBytes)
	}
	rest, err := io.ReadAll(io.LimitReader(r, int64(n)+crc32.Size))
	if err == nil && len(rest) < int(n)+crc32.Size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, truncated("read snapshot header", err)
	}
	fields, sum := rest[:n], binary.BigEndian.Uint32(rest[n:])
	if crc32.Update(crc32.Checksum(prefix, castagnoli), castagnoli, fields) != sum {
		return nil, fmt.Errorf("read snapshot header: %w: checksum differs", ErrCorrupt)
	}
	h, err := decodeSnapshotFields(fields)
	if err == nil {
		err = checkVersion("the snapshot", h.ClusterVersion)
	}
	if err != nil {
		return nil, fmt.Errorf("read snapshot header: %w", err)
	}
	return h, nil
}

func decodeSnapshotFields(b []byte) (*snapshotHeader, error) {
	d := decoder{b: b}
	h := &snapshotHeader{}
	d.fill("epoch", h.Epoch[:])
	h.AppliedIndex = d.u64("applied index")
	h.AppliedTerm = d.u64("applied term")
	h.ClusterVersion = d.u32("cluster version")
	h.ClusterID = d.optionalName("cluster id")
	n := int(d.uvarint("file count", snapshotFilesMax))
	if n*snapshotFileMinBytes > len(d.b) {
		d.fail("%d files in %d bytes", n, len(d.b))
	}
	if d.err != nil {
		return nil, d.err
	}
	h.Files = make([]snapshotFile, n)
	last := ""
	for i := range h.Files {
		f := &h.Files[i]
		f.Name = d.text("file name", snapshotNameMaxBytes)
		f.Size = int64(d.u64("file size"))
		f.Sum = d.u32("file checksum")
		if d.err == nil && (!plainFileName(f.Name) || f.Name <= last || f.Size < 0) {
			d.fail("file %q of %d bytes after %q", f.Name, f.Size, last)
		}
		last = f.Name
	}
	return h, d.done()
}

// plainFileName accepts what a database's files are called, and nothing that
// could lead out of the directory.
func plainFileName(name string) bool {
	if name == "" || name[0] == '.' {
		return false
	}
	for i := range len(name) {
		c := name[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (c < '0' || c > '9') && c != '.' && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// truncated makes the end of a stream that should go on a corruption.
func truncated(doing string, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%s: %w: the stream ends too early", doing, ErrCorrupt)
	}
	return fmt.Errorf("%s: %w", doing, err)
}
