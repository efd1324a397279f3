package fsm

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"

	"github.com/hashicorp/raft"
)

// META says what a snapshot in the store is, to raft and to us. It is written
// last: a directory that has it is complete.
//
//	 0      1         2        6
//	┌──────┬─────────┬────────┬──────────────────────────┐
//	│ 0x8f │ version │ crc32c │ fields, stream's header… │
//	└──────┴─────────┴────────┴──────────────────────────┘
//	fields: index (8) │ term (8) │ configuration's index (8) │ database (text) │
//	        server count (uvarint) │ of each server: suffrage (1) │ id (text) │ address (text)
//
// The checksum covers all bytes but its own four, in every version, so that a rotted
// version isn't taken for a newer one. Index and term are raft's: of
// the last entry before the snapshot, one of raft's own perhaps. Database names
// the one that the snapshot shares its files with, and is empty where it came
// over the network. What follows the fields is the header of the snapshot's
// stream, byte for byte.
const (
	metaVersion          = 1
	metaSumAt            = 2
	metaSumEnd           = 6
	metaMaxBytes         = snapshotHeaderMaxBytes + 1<<20
	metaServersMax       = 1000
	metaServerMinBytes   = 3
	metaServerIDMaxBytes = 255
)

type snapshotMeta struct {
	Index, Term        uint64
	ConfigurationIndex uint64
	Configuration      raft.Configuration
	Database           string
	Header             snapshotHeader
}

func (m *snapshotMeta) encode() ([]byte, error) {
	header, err := m.Header.encode()
	if err != nil {
		return nil, err
	}
	if n := len(m.Configuration.Servers); n > metaServersMax {
		return nil, fmt.Errorf("encode snapshot's meta: %d servers, at most %d", n, metaServersMax)
	}
	e := encoder{make([]byte, 0, 256+len(header))}
	e.u8(formatSnapshotMeta)
	e.u8(metaVersion)
	e.u32(0)
	e.u64(m.Index)
	e.u64(m.Term)
	e.u64(m.ConfigurationIndex)
	e.text(m.Database)
	e.uvarint(uint64(len(m.Configuration.Servers)))
	for _, s := range m.Configuration.Servers {
		e.u8(byte(s.Suffrage))
		e.text(string(s.ID))
		e.text(string(s.Address))
	}
	e.raw(header)
	binary.BigEndian.PutUint32(e.b[metaSumAt:], metaSum(e.b))
	return e.b, nil
}

func metaSum(b []byte) uint32 {
	return crc32.Update(crc32.Checksum(b[:metaSumAt], castagnoli), castagnoli, b[metaSumEnd:])
}

// decodeSnapshotMeta's errors match ErrCorrupt or ErrUnknownFormat.
func decodeSnapshotMeta(b []byte) (*snapshotMeta, error) {
	d := decoder{b: b}
	kind, version, sum := d.u8("kind"), d.u8("version"), d.u32("checksum")
	switch {
	case d.err != nil:
		return nil, d.err
	case kind != formatSnapshotMeta:
		return nil, fmt.Errorf("%w: kind %#x is no snapshot's meta", ErrCorrupt, kind)
	case sum != metaSum(b):
		return nil, fmt.Errorf("%w: checksum differs", ErrCorrupt)
	case version != metaVersion:
		return nil, fmt.Errorf("version %d: %w", version, ErrUnknownFormat)
	}
	m := &snapshotMeta{}
	m.Index = d.u64("index")
	m.Term = d.u64("term")
	m.ConfigurationIndex = d.u64("configuration's index")
	m.Database = d.text("database", currentMaxBytes)
	n := int(d.uvarint("server count", metaServersMax))
	if n*metaServerMinBytes > len(d.b) {
		d.fail("%d servers in %d bytes", n, len(d.b))
	}
	for range n {
		if d.err != nil {
			return nil, d.err
		}
		m.Configuration.Servers = append(m.Configuration.Servers, raft.Server{
			Suffrage: raft.ServerSuffrage(d.u8("suffrage")),
			ID:       raft.ServerID(d.text("server id", metaServerIDMaxBytes)),
			Address:  raft.ServerAddress(d.text("server address", metaServerIDMaxBytes)),
		})
	}
	if d.err != nil {
		return nil, d.err
	}
	rest := bytes.NewReader(d.b)
	in := bufio.NewReader(rest)
	header, err := readSnapshotHeader(in)
	if err != nil {
		return nil, err
	}
	if in.Buffered()+rest.Len() > 0 {
		return nil, fmt.Errorf("%w: bytes behind the header", ErrCorrupt)
	}
	m.Header = *header
	return m, nil
}

// raftMeta is what raft is told of the snapshot.
func (m *snapshotMeta) raftMeta(id string) (*raft.SnapshotMeta, error) {
	size, err := m.Header.streamBytes()
	if err != nil {
		return nil, err
	}
	return &raft.SnapshotMeta{
		Version: raftSnapshotVersion, ID: id, Index: m.Index, Term: m.Term,
		Configuration: m.Configuration.Clone(), ConfigurationIndex: m.ConfigurationIndex, Size: size,
	}, nil
}

// streamBytes is the exact length of the snapshot's stream. Raft's deadline for
// sending one grows with it.
func (h *snapshotHeader) streamBytes() (int64, error) {
	b, err := h.encode()
	if err != nil {
		return 0, err
	}
	n := int64(len(b))
	for _, f := range h.Files {
		if f.Size > math.MaxInt64-n {
			return 0, fmt.Errorf("%w: its files have more than %d bytes", ErrCorrupt, int64(math.MaxInt64))
		}
		n += f.Size
	}
	return n, nil
}
