package main

import (
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestQuickIsATenth(t *testing.T) {
	o, err := parse([]string{"--quick", "--work", "reads"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if o.existing != 100_000 || o.repetitions != 1 || o.minutes != 0 || o.failovers != 5 || o.only != "reads" {
		t.Errorf("%+v", o)
	}
	whole, err := parse(nil, io.Discard)
	if err != nil || whole.existing != 1_000_000 || whole.repetitions != 6 || whole.failovers != 20 {
		t.Errorf("%+v, %v", whole, err)
	}
}

func TestCommandLinesThatAreRefused(t *testing.T) {
	for _, args := range [][]string{
		{"quick"}, {"--repetitions", "0"}, {"--minutes", "-1"}, {"--existing", "5000"}, {"--save", "--alone"}, {"--save", "--work", "reads"}, {"--curves", "--quick"}, {"--curves", "--check"}, {"--no-such"},
	} {
		if o, err := parse(args, io.Discard); err == nil {
			t.Errorf("%v became %+v", args, o)
		}
	}
}

func read(t *testing.T, path ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestStoredReportsAreReadAgain has the working directory be a module of its own, whose
// docs take the files.
func TestStoredReportsAreReadAgain(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("go.mod", []byte("module other\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readStored(t.Context()); err == nil || !strings.Contains(err.Error(), "--save") {
		t.Errorf("without a stored report: %v", err)
	}
	r := measured(t, 800)
	if err := r.save(t.Context()); err != nil {
		t.Fatal(err)
	}
	stored, err := readStored(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(stored, r) {
		t.Errorf("stored as %+v, was %+v", stored, r)
	}
	if page := read(t, "docs", pageName); page != r.page() {
		t.Errorf("page\n%s", page)
	}
	if svg := read(t, "docs", figureName); svg != r.bars().SVG() || !strings.Contains(svg, "ceiling: 2000") {
		t.Errorf("figure\n%s", svg)
	}
}
