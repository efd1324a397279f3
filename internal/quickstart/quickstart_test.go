package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseIndex(t *testing.T) {
	const index = "Package: zsh\nVersion: 5.9-4\nArchitecture: amd64\nSection: shells\nDepends: libc6 (>= 2.34)\n" +
		"Description: shell with lots of features\n more text\n\n\nPackage: nvidia\nVersion: 1\nArchitecture: all\nSection: non-free/libs\nDescription: \xff"
	var got []debianPackage
	if err := parseIndex(strings.NewReader(index), func(p debianPackage) error { got = append(got, p); return nil }); err != nil {
		t.Fatal(err)
	}
	want := []debianPackage{
		{Package: "zsh", Version: "5.9-4", Architecture: "amd64", Section: "shells", Depends: "libc6 (>= 2.34)", Description: "shell with lots of features"},
		{Package: "nvidia", Version: "1", Architecture: "all", Section: "non-free/libs", Description: "\uFFFD"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got[1].namespace() != "debian_libs" || got[1].id() != "nvidia/1/all" {
		t.Errorf("namespace %q, id %q", got[1].namespace(), got[1].id())
	}
}

// Where there is no Debian index there are always Go files.
func TestGoFilesAreRecords(t *testing.T) {
	found, source, err := goFiles(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(found) < 1000 || len(found) > maxRecords {
		t.Errorf("%d records from %s", len(found), source)
	}
	seen := map[string]bool{}
	for _, op := range found {
		key := op.Namespace + "\x00" + op.ID
		if seen[key] || op.ID == "" || len(op.ID) > 255 {
			t.Fatalf("record %q of %q is there twice or has no valid id", op.ID, op.Namespace)
		}
		seen[key] = true
	}
}
