package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// pgoName is the file with the CPU profiles of all works and nodes together, as Go's
// compiler takes it.
const pgoName = "default.pgo"

// merge writes it.
func (p *profiler) merge(ctx context.Context) error {
	if p == nil {
		return nil
	}
	paths, err := filepath.Glob(filepath.Join(p.dir, "*.cpu.pprof"))
	if err != nil || len(paths) == 0 {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", append([]string{"tool", "pprof", "-symbolize=none", "-proto"}, paths...)...)
	var problems strings.Builder
	cmd.Stderr = &problems
	merged, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("merging profiles: %w\n%s", err, problems.String())
	}
	if merged, err = withoutPaths(merged); err != nil {
		return fmt.Errorf("merging profiles: %w", err)
	}
	return os.WriteFile(filepath.Join(p.dir, pgoName), merged, 0o600)
}

var errNoProfile = errors.New("this is no profile")

// The numbers of a profile's strings, and of what has its length before it, as profile.proto
// and Protocol Buffers say: https://github.com/google/pprof/blob/main/proto/profile.proto.
const (
	stringTable = 6
	byLength    = 2
)

// withoutPaths leaves out where on this machine the program and its source were: the
// compiler goes by the names of functions.
func withoutPaths(profile []byte) ([]byte, error) {
	packed, err := gzip.NewReader(bytes.NewReader(profile))
	if err != nil {
		return nil, err
	}
	rest, err := io.ReadAll(packed)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	to := gzip.NewWriter(&out)
	for len(rest) > 0 {
		field, n := binary.Uvarint(rest)
		length, m := binary.Uvarint(rest[max(n, 0):])
		if n <= 0 || m <= 0 {
			return nil, errNoProfile
		}
		whole := uint64(n + m)
		if field&7 == byLength {
			if length > uint64(len(rest))-whole {
				return nil, errNoProfile
			}
			whole += length
		}
		kept := rest[:whole]
		if field == stringTable<<3|byLength && isPath(string(kept[n+m:])) {
			kept = []byte{kept[0], 0}
		}
		if _, err := to.Write(kept); err != nil {
			return nil, err
		}
		rest = rest[whole:]
	}
	if err := to.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func isPath(text string) bool {
	return filepath.IsAbs(text) || strings.HasSuffix(text, ".go") || strings.HasSuffix(text, ".s")
}
