package testcluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// BinaryEnv names an already built pipesync to use in place of building one.
const BinaryEnv = "PIPESYNC_BINARY"

// Build compiles cmd/node of the module in the working directory into dir, as
// it is shipped: without cgo. With race it is the race detector's build, which
// needs cgo. It returns the binary's path, which is BinaryEnv's where that is
// set.
func Build(ctx context.Context, dir string, race bool) (string, error) {
	if path := os.Getenv(BinaryEnv); path != "" {
		return path, nil
	}
	root, err := ModuleRoot(ctx)
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "pipesync")
	return path, compile(ctx, root, path, race)
}

// compile builds cmd/node of the module in source.
func compile(ctx context.Context, source, path string, race bool) error {
	args, cgo := []string{"build", "-o", path}, "CGO_ENABLED=0"
	if race {
		args, cgo = append(args, "-race"), "CGO_ENABLED=1"
	}
	cmd := exec.CommandContext(ctx, "go", append(args, "./cmd/node")...)
	cmd.Dir = source
	cmd.Env = append(os.Environ(), cgo)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building pipesync: %w\n%s", err, out)
	}
	return nil
}

// ModuleRoot is the folder of the go.mod that governs the working directory.
func ModuleRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("asking go for the module's root: %w", err)
	}
	mod := strings.TrimSpace(string(bytes.TrimSpace(out)))
	if mod == "" || mod == os.DevNull {
		return "", errors.New("finding the module's root: not inside a Go module")
	}
	return filepath.Dir(mod), nil
}
