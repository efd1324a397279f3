package api

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// maxZstdWindowBytes bounds what a frame's header may make the decoder allocate.
// Window sizes over 8 MiB need not be supported: RFC 8878, section 3.1.1.1.2.
const maxZstdWindowBytes = 8 << 20

// garbledError says that a body is not what its Content-Encoding says.
type garbledError struct {
	encoding string
	err      error
}

func (e garbledError) Error() string {
	return fmt.Sprintf("decompressing %s: %v", e.encoding, e.err)
}

func (e garbledError) Unwrap() error { return e.err }

var (
	gzipReaders sync.Pool // *gzip.Reader
	zstdReaders sync.Pool // *zstd.Decoder; of concurrency 1, which has no goroutines
)

// decompressed wraps wire by the request's Content-Encoding; done gives the
// decoder back. What comes out is not bounded here.
func decompressed(wire io.Reader, encodings []string) (plain io.Reader, done func(), err error) {
	encoding := strings.ToLower(strings.TrimSpace(strings.Join(encodings, ",")))
	switch encoding {
	case "", "identity":
		return wire, func() {}, nil
	case "gzip", "x-gzip":
		return gunzip(wire)
	case "zstd":
		return unzstd(wire)
	}
	return nil, nil, fail(codeUnsupportedMediaType, "the Content-Encoding must be gzip, zstd or identity")
}

func gunzip(wire io.Reader) (io.Reader, func(), error) {
	r, ok := gzipReaders.Get().(*gzip.Reader)
	if !ok {
		r = new(gzip.Reader)
	}
	if err := r.Reset(wire); err != nil {
		return nil, nil, garbled("gzip", err)
	}
	done := func() {
		_ = r.Reset(strings.NewReader("")) // lets go of the request; says that it has no input
		gzipReaders.Put(r)
	}
	return &encodedReader{"gzip", r}, done, nil
}

func unzstd(wire io.Reader) (io.Reader, func(), error) {
	r, ok := zstdReaders.Get().(*zstd.Decoder)
	if !ok {
		var err error
		r, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(maxZstdWindowBytes))
		if err != nil {
			return nil, nil, fmt.Errorf("making a zstd decoder: %w", err)
		}
	}
	if err := r.Reset(wire); err != nil {
		return nil, nil, garbled("zstd", err)
	}
	done := func() {
		_ = r.Reset(nil) // lets go of the request; says that it has no input
		zstdReaders.Put(r)
	}
	return &encodedReader{"zstd", r}, done, nil
}

type encodedReader struct {
	encoding string
	io.Reader
}

func (r *encodedReader) Read(b []byte) (int, error) {
	n, err := r.Reader.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		err = garbled(r.encoding, err)
	}
	return n, err
}

// garbled leaves the errors of the connection as they are.
func garbled(encoding string, err error) error {
	var tooLong *http.MaxBytesError
	if errors.As(err, &tooLong) || errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	return garbledError{encoding, err}
}
