// Package backup is the file that a cluster's state is backed up in.
package backup

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/zstd"

	"pipesync/fsm"
)

// A backup is a header, the stream of a snapshot compressed as one zstd frame and cut
// into chunks, and a checksum. So its end can be told from where it was cut off.
//
//	 0      1         2          4
//	┌──────┬─────────┬──────────┬───────────────────┬────────┐
//	│ 0x83 │ version │ length n │ fields (n bytes)  │ crc32c │
//	└──────┴─────────┴──────────┴───────────────────┴────────┘
//	┌──────────┬──────────────────┐
//	│ length n │ bytes (n) …      │   4 bytes of length, at most 1 MiB; the last has length 0
//	└──────────┴──────────────────┘
//	┌────────────┐
//	│ SHA-256 32 │   over all bytes before it
//	└────────────┘
//	fields: made at (8), node (text), program version (text)
//
// Numbers are big-endian. A text is its length as a uvarint, and its bytes. The
// header's checksum is over all bytes of the header before it.
const (
	kind           = 0x83
	version        = 1
	prefixBytes    = 4
	textMaxBytes   = 255
	chunkBytes     = 256 << 10
	chunkMaxBytes  = 1 << 20
	windowMaxBytes = 8 << 20 // of zstd, in memory of who reads
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)

	errCutOff = fmt.Errorf("%w: it is cut off", fsm.ErrCorrupt)
)

// Header says where a backup comes from.
type Header struct {
	MadeAt  int64 // nanoseconds since the Unix epoch, by the node's clock
	Node    string
	Version string // of the program
}

// Write makes a backup of the state. What it has written is none without the
// rest: an error leaves something that Read refuses.
func Write(w io.Writer, h Header, state io.WriterTo) error {
	sum := sha256.New()
	out := bufio.NewWriterSize(io.MultiWriter(w, sum), chunkBytes+4)
	if _, err := out.Write(h.encode()); err != nil {
		return fmt.Errorf("write backup: %w", err)
	}
	chunks := &chunkWriter{w: out, chunk: make([]byte, 0, chunkBytes)}
	frame, err := zstd.NewWriter(chunks, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
		zstd.WithWindowSize(windowMaxBytes/2))
	if err == nil {
		_, err = state.WriteTo(frame)
		err = errors.Join(err, frame.Close())
	}
	if err == nil {
		err = errors.Join(chunks.end(), out.Flush())
	}
	if err == nil {
		_, err = w.Write(sum.Sum(nil))
	}
	if err != nil {
		return fmt.Errorf("write backup: %w", err)
	}
	return nil
}

func (h Header) encode() []byte {
	var fields []byte
	fields = binary.BigEndian.AppendUint64(fields, uint64(h.MadeAt))
	for _, text := range []string{h.Node, h.Version} {
		text = text[:min(len(text), textMaxBytes)]
		fields = append(binary.AppendUvarint(fields, uint64(len(text))), text...)
	}
	b := binary.BigEndian.AppendUint16([]byte{kind, version}, uint16(len(fields)))
	b = append(b, fields...)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// chunkWriter cuts what it is given into chunks.
type chunkWriter struct {
	w     io.Writer
	chunk []byte
}

func (c *chunkWriter) Write(b []byte) (n int, err error) {
	for n < len(b) {
		took := copy(c.chunk[len(c.chunk):cap(c.chunk)], b[n:])
		c.chunk = c.chunk[:len(c.chunk)+took]
		n += took
		if len(c.chunk) == cap(c.chunk) {
			if err := c.flush(); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

func (c *chunkWriter) flush() error {
	if _, err := c.w.Write(binary.BigEndian.AppendUint32(nil, uint32(len(c.chunk)))); err != nil {
		return err
	}
	_, err := c.w.Write(c.chunk)
	c.chunk = c.chunk[:0]
	return err
}

func (c *chunkWriter) end() error {
	if len(c.chunk) > 0 {
		if err := c.flush(); err != nil {
			return err
		}
	}
	return c.flush()
}

// Read gives use the stream of a backup's state, which it must read to its end, and
// verifies what r has. Only when it returns nil was all of it as it was written.
// Errors match fsm.ErrCorrupt or fsm.ErrUnknownFormat, or are r's or use's.
func Read(r io.Reader, use func(state io.Reader) error) (Header, error) {
	in := &summed{r: bufio.NewReaderSize(r, chunkBytes), sum: sha256.New()}
	h, err := readHeader(in)
	if err != nil {
		return Header{}, fmt.Errorf("read backup: %w", err)
	}
	chunks := &chunkReader{in: in}
	frame, err := zstd.NewReader(chunks, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(windowMaxBytes))
	if err == nil {
		err = use(inflated{frame, chunks})
		frame.Close()
	}
	if err == nil {
		err = readEnd(in, chunks)
	}
	if err != nil {
		return Header{}, fmt.Errorf("read backup: %w", err)
	}
	return h, nil
}

func readHeader(in *summed) (Header, error) {
	b := make([]byte, prefixBytes, 1024)
	if err := in.full(b); err != nil {
		return Header{}, err
	}
	if b[0] != kind {
		return Header{}, fmt.Errorf("%w: it is no backup: its first byte is %#x", fsm.ErrCorrupt, b[0])
	}
	if b[1] != version {
		return Header{}, fmt.Errorf("version %d: %w", b[1], fsm.ErrUnknownFormat)
	}
	rest := make([]byte, int(binary.BigEndian.Uint16(b[2:]))+crc32.Size)
	if err := in.full(rest); err != nil {
		return Header{}, err
	}
	fields, sum := rest[:len(rest)-crc32.Size], binary.BigEndian.Uint32(rest[len(rest)-crc32.Size:])
	if crc32.Checksum(append(b, fields...), castagnoli) != sum {
		return Header{}, fmt.Errorf("%w: its header's checksum differs", fsm.ErrCorrupt)
	}
	return decodeHeader(fields)
}

func decodeHeader(fields []byte) (Header, error) {
	bad := fmt.Errorf("%w: its header's fields end too early or late", fsm.ErrCorrupt)
	if len(fields) < 8 {
		return Header{}, bad
	}
	h := Header{MadeAt: int64(binary.BigEndian.Uint64(fields))}
	fields = fields[8:]
	for _, text := range []*string{&h.Node, &h.Version} {
		n, length := binary.Uvarint(fields)
		if length <= 0 || n > uint64(len(fields)-length) {
			return Header{}, bad
		}
		fields = fields[length:]
		*text, fields = string(fields[:n]), fields[n:]
	}
	if len(fields) > 0 {
		return Header{}, bad
	}
	return h, nil
}

// inflated is what the chunks have. What is wrong with it, and not with reading it,
// is corrupt.
type inflated struct {
	frame  *zstd.Decoder
	chunks *chunkReader
}

func (i inflated) Read(b []byte) (int, error) {
	n, err := i.frame.Read(b)
	if err != nil && !errors.Is(err, io.EOF) && i.chunks.err == nil {
		err = fmt.Errorf("%w: %w", fsm.ErrCorrupt, err)
	}
	return n, err
}

// readEnd reads what follows the frame: the rest of the chunks, of which there is
// none, and the checksum.
func readEnd(in *summed, chunks *chunkReader) error {
	switch n, err := io.Copy(io.Discard, chunks); {
	case err != nil:
		return err
	case n > 0:
		return fmt.Errorf("%w: %d bytes behind its state", fsm.ErrCorrupt, n)
	}
	want := in.sum.Sum(nil)
	got := make([]byte, len(want))
	if err := in.full(got); err != nil {
		return err
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("%w: its checksum differs", fsm.ErrCorrupt)
	}
	if _, err := in.r.ReadByte(); !errors.Is(err, io.EOF) {
		return errors.Join(err, fmt.Errorf("%w: bytes behind its checksum", fsm.ErrCorrupt))
	}
	return nil
}

// summed hashes what is read of r.
type summed struct {
	r   *bufio.Reader
	sum hash.Hash
}

func (s *summed) full(b []byte) error {
	_, err := io.ReadFull(s.r, b)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errCutOff
	}
	_, _ = s.sum.Write(b)
	return err
}

// chunkReader puts the chunks together again. It ends with the last.
type chunkReader struct {
	in    *summed
	chunk []byte
	rest  []byte // of chunk
	ended bool
	err   error // of the last Read, but for the end
}

func (c *chunkReader) Read(b []byte) (int, error) {
	for len(c.rest) == 0 && !c.ended && c.err == nil {
		c.err = c.next()
	}
	switch {
	case c.err != nil:
		return 0, c.err
	case len(c.rest) == 0:
		return 0, io.EOF
	}
	n := copy(b, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

func (c *chunkReader) next() error {
	var length [4]byte
	if err := c.in.full(length[:]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint32(length[:])
	if n > chunkMaxBytes {
		return fmt.Errorf("%w: a chunk of %d bytes, at most %d", fsm.ErrCorrupt, n, chunkMaxBytes)
	}
	c.ended = n == 0
	if cap(c.chunk) < int(n) {
		c.chunk = make([]byte, n)
	}
	c.rest = c.chunk[:n]
	return c.in.full(c.rest)
}

// Inspect verifies a backup and says what it is of.
func Inspect(r io.Reader) (h Header, info fsm.BackupInfo, err error) {
	h, err = Read(r, func(state io.Reader) (err error) {
		info, err = fsm.VerifyBackup(state)
		return err
	})
	return h, info, err
}
