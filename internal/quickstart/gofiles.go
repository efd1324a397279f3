package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"pipesync/client"
)

// goFiles makes a record of each Go file of the module cache and, where those
// are few, of the standard library too.
func goFiles(ctx context.Context) ([]client.Operation, string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMODCACHE", "GOROOT").Output()
	if err != nil {
		return nil, "", fmt.Errorf("asking go for its folders: %w", err)
	}
	folders := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(folders) != 2 {
		return nil, "", fmt.Errorf("asking go for its folders: it said %q", out)
	}
	var found []client.Operation
	source := "the Go module cache"
	if err := goFilesUnder(ctx, folders[0], "gomod_", &found); err != nil {
		return nil, "", err
	}
	if len(found) < minDebianRecords {
		source = "the Go standard library's files and the module cache"
		if err := goFilesUnder(ctx, filepath.Join(folders[1], "src"), "std_", &found); err != nil {
			return nil, "", err
		}
	}
	if len(found) == 0 {
		return nil, "", errors.New("finding records: there is no Go file in the module cache or in GOROOT")
	}
	return found, source, nil
}

// goFile is one file, as the record's data.
type goFile struct {
	Path    string `json:"path"`
	Package string `json:"package"`
	Bytes   int    `json:"bytes"`
	Lines   int    `json:"lines"`
	Test    bool   `json:"test"`
}

// goFilesUnder adds the files below root, in a namespace for each folder of it,
// up to maxRecords in all.
func goFilesUnder(ctx context.Context, root, prefix string, found *[]client.Operation) error {
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		if len(*found) == maxRecords {
			return fs.SkipAll
		}
		rel, err := filepath.Rel(root, path)
		if err != nil || d.IsDir() || filepath.Ext(path) != ".go" || len(rel) > 250 {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		top, _, _ := strings.Cut(rel, "/")
		op, err := record(prefix+top, rel, "go", goFile{
			Path: rel, Package: filepath.ToSlash(filepath.Dir(rel)), Bytes: len(text),
			Lines: bytes.Count(text, []byte("\n")), Test: strings.HasSuffix(rel, "_test.go"),
		})
		*found = append(*found, op)
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the Go files under %s: %w", root, err)
	}
	return nil
}
