package testcluster

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestParsePrevious(t *testing.T) {
	commit := strings.Repeat("0123456789", 4)
	for text, want := range map[string]string{
		commit + "\n":                          commit,
		"# why\n#\n\n " + commit:               commit,
		"":                                     "",
		"# " + commit + "\n":                   "",
		commit[1:] + "\n":                      "",
		strings.ToUpper("a"+commit[1:]) + "\n": "",
		commit + "\n" + commit + "\n":          "",
		"main\n":                               "",
	} {
		if got, err := parsePrevious(text); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v; want %q", text, got, err, want)
		}
	}
}

// What keeps a test of upgrades from running says how it is cured.
func TestExtractSaysWhatIsMissing(t *testing.T) {
	root, err := ModuleRoot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "source")
	for repository, want := range map[string]string{
		root:        "git fetch --unshallow",
		t.TempDir(): "needs a clone",
	} {
		if err := extract(t.Context(), repository, strings.Repeat("1", 40), dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("a commit that isn't in %s: %v", repository, err)
		}
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("it has made the directory")
	}
}
