package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"pipesync/client"
)

const (
	aptLists = "/var/lib/apt/lists"
	// aptHelper reads an index however apt has compressed it.
	aptHelper     = "/usr/lib/apt/apt-helper"
	maxIndexLine  = 1 << 20
	maxIndexBytes = 512 << 20
)

// debianPackages reads the package indexes of this machine, the largest first;
// none where it isn't a Debian or has never updated them.
func debianPackages(ctx context.Context) ([]client.Operation, string, error) {
	indexes, err := packageIndexes()
	if err != nil {
		return nil, "", err
	}
	var found []client.Operation
	seen := map[string]bool{}
	for _, index := range indexes {
		text, err := readIndex(ctx, index)
		if err != nil {
			continue // another may be readable; too few in all and it isn't used
		}
		if err := parseIndex(bytes.NewReader(text), func(p debianPackage) error {
			if seen[p.id()] || len(found) == maxRecords {
				return nil
			}
			seen[p.id()] = true
			op, err := record(p.namespace(), p.id(), "debian", p)
			found = append(found, op)
			return err
		}); err != nil {
			return nil, "", fmt.Errorf("reading %s: %w", index, err)
		}
	}
	return found, "this machine's Debian package index (" + aptLists + ")", nil
}

func packageIndexes() ([]string, error) {
	entries, err := os.ReadDir(aptLists)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("listing %s: %w", aptLists, err)
	}
	type index struct {
		path  string
		bytes int64
	}
	var all []index
	for _, e := range entries {
		name, _, _ := strings.Cut(e.Name(), "_Packages.") // .lz4, .gz, .xz or nothing
		info, err := e.Info()
		if err != nil || (name == e.Name() && !strings.HasSuffix(name, "_Packages")) {
			continue
		}
		all = append(all, index{filepath.Join(aptLists, e.Name()), info.Size()})
	}
	slices.SortFunc(all, func(a, b index) int { return cmp.Compare(b.bytes, a.bytes) })
	var paths []string
	for _, i := range all {
		paths = append(paths, i.path)
	}
	return paths, nil
}

func readIndex(ctx context.Context, path string) ([]byte, error) {
	if strings.HasSuffix(path, "_Packages") {
		return os.ReadFile(path)
	}
	cmd := exec.CommandContext(ctx, aptHelper, "cat-file", path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(out, maxIndexBytes))
	return text, errors.Join(err, cmd.Wait())
}

// debianPackage is one entry of an index, as the record's data.
type debianPackage struct {
	Package      string `json:"package"`
	Version      string `json:"version"`
	Architecture string `json:"architecture"`
	Section      string `json:"section"`
	Maintainer   string `json:"maintainer,omitempty"`
	Homepage     string `json:"homepage,omitempty"`
	Depends      string `json:"depends,omitempty"`
	Description  string `json:"description"`
}

func (p debianPackage) id() string { return p.Package + "/" + p.Version + "/" + p.Architecture }

// namespace is the package's section without its area: non-free/libs is libs.
func (p debianPackage) namespace() string {
	return "debian_" + p.Section[strings.LastIndexByte(p.Section, '/')+1:]
}

// parseIndex calls visit for each entry: lines "Field: value", ended by an
// empty one (deb822). Continued lines are left out.
func parseIndex(r io.Reader, visit func(debianPackage) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 64<<10), maxIndexLine)
	var p debianPackage
	fields := map[string]*string{
		"Package": &p.Package, "Version": &p.Version, "Architecture": &p.Architecture, "Section": &p.Section,
		"Maintainer": &p.Maintainer, "Homepage": &p.Homepage, "Depends": &p.Depends, "Description": &p.Description,
	}
	end := func() error {
		entry := p
		p = debianPackage{}
		if entry.Package == "" {
			return nil
		}
		if entry.Section == "" {
			entry.Section = "unknown"
		}
		return visit(entry)
	}
	for lines.Scan() {
		if lines.Text() == "" {
			if err := end(); err != nil {
				return err
			}
			continue
		}
		name, value, _ := strings.Cut(lines.Text(), ": ")
		if field := fields[name]; field != nil {
			*field = strings.ToValidUTF8(value, "\uFFFD")
		}
	}
	return errors.Join(lines.Err(), end())
}
