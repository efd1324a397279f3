package backup

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"flag"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"pipesync/fsm"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var update = flag.Bool("update", false, "write the golden file")

// text is a state that isn't one: this package doesn't look inside.
type text string

func (s text) WriteTo(w io.Writer) (int64, error) {
	n, err := io.WriteString(w, string(s))
	return int64(n), err
}

func write(t *testing.T, h Header, state string) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, h, text(state)); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func read(b []byte) (h Header, state string, err error) {
	h, err = Read(bytes.NewReader(b), func(r io.Reader) error {
		all, err := io.ReadAll(r)
		state = string(all)
		return err
	})
	return h, state, err
}

var golden = Header{MadeAt: 1_700_000_000_000_000_000, Node: "node-a", Version: "v1.2.3"}

func TestFileComesBack(t *testing.T) {
	large := make([]byte, 3*chunkBytes+17) // random: it doesn't get smaller
	rng := rand.NewChaCha8([32]byte{1})
	_, _ = rng.Read(large)
	for name, state := range map[string]string{
		"empty": "", "short": "state", "one chunk and more": string(large), "compresses": strings.Repeat("x", 10<<20),
	} {
		b := write(t, golden, state)
		h, got, err := read(b)
		if h != golden || got != state || err != nil {
			t.Errorf("%s: %+v, %d of %d bytes, %v", name, h, len(got), len(state), err)
		}
		t.Logf("%s: %d bytes become %d", name, len(state), len(b))
	}
}

// A backup that was written once can be read for ever.
func TestGoldenFile(t *testing.T) {
	path := filepath.Join("testdata", "backup-1.golden")
	if *update {
		if err := os.WriteFile(path, write(t, golden, "the state"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if h, state, err := read(b); h != golden || state != "the state" || err != nil {
		t.Errorf("%+v, %q, %v", h, state, err)
	}
}

// Cut off anywhere, or with any byte changed, it is refused.
func TestFileIsRefused(t *testing.T) {
	whole := write(t, golden, strings.Repeat("the state ", 20))
	for n := range whole {
		if _, _, err := read(whole[:n]); !errors.Is(err, fsm.ErrCorrupt) {
			t.Errorf("the first %d of %d bytes: %v", n, len(whole), err)
		}
		bad := bytes.Clone(whole)
		bad[n] ^= 0x41
		_, _, err := read(bad)
		if err == nil || n != 1 && !errors.Is(err, fsm.ErrCorrupt) {
			t.Errorf("byte %d of %d changed: %v", n, len(whole), err)
		}
	}
	if _, _, err := read(append(bytes.Clone(whole), 0)); !errors.Is(err, fsm.ErrCorrupt) {
		t.Errorf("a byte behind: %v", err)
	}
	if newer := (append([]byte{kind, version + 1}, whole[2:]...)); !errors.Is(func() error { _, _, err := read(newer); return err }(), fsm.ErrUnknownFormat) {
		t.Error("a newer version isn't told to be one")
	}
}

// Bytes behind the frame have the right checksum, and are no part of the state.
func TestBytesBehindTheState(t *testing.T) {
	var b bytes.Buffer
	whole := write(t, golden, "state")
	b.Write(whole[:len(whole)-sha256.Size-4])
	b.Write([]byte{0, 0, 0, 1, 'x', 0, 0, 0, 0})
	sum := sha256.Sum256(b.Bytes())
	b.Write(sum[:])
	if _, _, err := read(b.Bytes()); err == nil {
		t.Error("it was read")
	}
}

// One that fails half-way is told, and what it has written is refused.
func TestHalfABackup(t *testing.T) {
	var b bytes.Buffer
	broken := errors.New("broken")
	if err := Write(&b, golden, failing{broken}); !errors.Is(err, broken) {
		t.Errorf("write: %v", err)
	}
	if _, _, err := read(b.Bytes()); !errors.Is(err, fsm.ErrCorrupt) {
		t.Errorf("read: %v", err)
	}
}

type failing struct{ err error }

func (f failing) WriteTo(w io.Writer) (int64, error) {
	n, _ := io.WriteString(w, "some of it")
	return int64(n), f.err
}
