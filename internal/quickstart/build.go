package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"pipesync/internal/testcluster"
)

const progressEvery = time.Second

// build compiles pipesync as it is shipped and tells how far it is. What the
// build cache has costs nothing and isn't counted.
func build(ctx context.Context, out io.Writer) (string, error) {
	root, err := testcluster.ModuleRoot(ctx)
	if err != nil {
		return "", err
	}
	path := filepath.Join(root, "bin", "pipesync")
	cmd := exec.CommandContext(ctx, "go", "build", "-v", "-o", path, "./cmd/node")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	pipe, err := cmd.StderrPipe()
	if err != nil {
		return "", fmt.Errorf("building pipesync: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return "", fmt.Errorf("building pipesync: %w", err)
	}
	said := watchBuild(pipe, out)
	if err := cmd.Wait(); err != nil {
		return "", fmt.Errorf("building pipesync: %w\n%s", err, said)
	}
	return path, nil
}

// watchBuild counts the lines of go build -v and returns those that are
// neither packages nor downloads: its errors.
func watchBuild(pipe io.Reader, out io.Writer) []byte {
	var errs bytes.Buffer
	started, last := time.Now(), time.Time{}
	compiled, fetched := 0, 0
	tell := func() {
		fmt.Fprintf(out, "building pipesync: %d modules fetched, %d packages compiled, %d s\n",
			fetched, compiled, int(time.Since(started).Seconds()))
	}
	lines := bufio.NewScanner(pipe)
	for lines.Scan() {
		line := lines.Text()
		switch {
		case strings.HasPrefix(line, "go: downloading "):
			fetched++
		case strings.ContainsAny(line, " :"):
			errs.WriteString(line + "\n")
		default:
			compiled++
		}
		if time.Since(last) >= progressEvery {
			last = time.Now()
			tell()
		}
	}
	if err := lines.Err(); err != nil && !errors.Is(err, os.ErrClosed) {
		errs.WriteString(err.Error())
	}
	tell()
	return errs.Bytes()
}
