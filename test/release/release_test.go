// Package release makes a release twice, and looks at what it consists of.
package release

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
)

// runEnv has the release made, which takes a while.
const runEnv = "PIPESYNC_RELEASE"

const (
	version = "1.2.3-rc.1"
	debian  = "1.2.3~rc.1"
)

// The same commit has the same bytes, wherever it is checked out.
func TestRelease(t *testing.T) {
	if os.Getenv(runEnv) == "" {
		t.Skip("takes a while: runs where " + runEnv + " is set, as in scripts/test")
	}
	files := made(t, clone(t))
	for name, content := range made(t, clone(t)) {
		if !bytes.Equal(files[name], content) {
			t.Errorf("%s has other bytes the second time", name)
		}
	}
	name := "pipesync_" + version + "_linux_" + runtime.GOARCH
	want := []string{"SHA256SUMS", name + ".cdx.json", name + ".tar.gz", "pipesync_" + debian + "_" + runtime.GOARCH + ".deb"}
	if got := slices.Sorted(maps.Keys(files)); !slices.Equal(got, want) {
		t.Fatalf("it consists of %q, want %q", got, want)
	}
	sums(t, files)
	parts(t, files[name+".cdx.json"])
	archive(t, files[name+".tar.gz"], name)
}

func clone(t *testing.T) string {
	t.Helper()
	root := must(filepath.Abs("../.."))(t)
	dir := filepath.Join(t.TempDir(), "clone")
	command(t, root, "git", "clone", "--quiet", "--shared", root, dir)
	return dir
}

// made is what scripts/release makes in dir, by name.
func made(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	out := command(t, dir, "scripts/release", version, "linux/"+runtime.GOARCH)
	files := map[string][]byte{}
	folder := filepath.Join(dir, strings.TrimSpace(out))
	for _, entry := range must(os.ReadDir(folder))(t) {
		files[entry.Name()] = must(os.ReadFile(filepath.Join(folder, entry.Name())))(t)
	}
	return files
}

// command returns what a program prints to stdout.
func command(t *testing.T, dir, program string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir = dir
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		t.Fatalf("%s %q: %v\n%s", program, args, err, exit.Stderr)
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// sums checks that SHA256SUMS has all other files, each with its sum.
func sums(t *testing.T, files map[string][]byte) {
	t.Helper()
	var want strings.Builder
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if name != "SHA256SUMS" {
			sum := sha256.Sum256(files[name])
			want.WriteString(hex.EncodeToString(sum[:]) + "  " + name + "\n")
		}
	}
	if got := string(files["SHA256SUMS"]); got != want.String() {
		t.Errorf("SHA256SUMS is\n%s, want\n%s", got, want.String())
	}
}

// parts checks that the list of parts is of this program and has what go.mod asks for.
func parts(t *testing.T, text []byte) {
	t.Helper()
	var list struct {
		BOMFormat string `json:"bomFormat"`
		Metadata  struct {
			Component struct{ Name, Version string }
		}
		Components []struct{ Name, Version string }
	}
	if err := json.Unmarshal(text, &list); err != nil {
		t.Fatal(err)
	}
	if c := list.Metadata.Component; list.BOMFormat != "CycloneDX" || c.Name != "pipesync" || c.Version != version {
		t.Errorf("the list of parts is in %s, of %+v", list.BOMFormat, c)
	}
	found := map[string]string{}
	for _, c := range list.Components {
		found[c.Name] = c.Version
	}
	for _, module := range []string{"github.com/hashicorp/raft", "github.com/cockroachdb/pebble/v2"} {
		want := strings.TrimSpace(command(t, ".", "go", "list", "-m", "-f", "{{.Version}}", module))
		if found[module] != want {
			t.Errorf("the list of parts has %s %q, want %s", module, found[module], want)
		}
	}
	if found["std"] != strings.TrimSpace(command(t, ".", "go", "env", "GOVERSION")) {
		t.Errorf("the list of parts has the standard library of %q", found["std"])
	}
}

// archive checks the archive's files, and that the program in it knows what it is.
func archive(t *testing.T, text []byte, name string) {
	t.Helper()
	unzipped := must(gzip.NewReader(bytes.NewReader(text)))(t)
	files := tar.NewReader(unzipped)
	program := filepath.Join(t.TempDir(), "pipesync")
	var found []string
	for {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Uid != 0 || h.Gid != 0 || h.Mode&0o022 != 0 {
			t.Errorf("%s has mode %o and is %d:%d's", h.Name, h.Mode, h.Uid, h.Gid)
		}
		found = append(found, strings.TrimPrefix(h.Name, name+"/"))
		if h.Name == name+"/pipesync" {
			if err := os.WriteFile(program, must(io.ReadAll(files))(t), os.FileMode(h.Mode)); err != nil {
				t.Fatal(err)
			}
		}
	}
	want := []string{"", "CHANGELOG.md", "LICENSE", "README.md", "completions/", "completions/pipesync.bash",
		"completions/pipesync.fish", "completions/pipesync.zsh", "pipesync", "pipesync.yaml"}
	if !slices.Equal(found, want) {
		t.Errorf("the archive has %q, want %q", found, want)
	}
	var told struct {
		Version, Commit string
		Modified        bool
	}
	if err := json.Unmarshal([]byte(command(t, ".", program, "version", "-o", "json")), &told); err != nil {
		t.Fatal(err)
	}
	if commit := strings.TrimSpace(command(t, ".", "git", "rev-parse", "HEAD")); told.Version != version || told.Commit != commit || told.Modified {
		t.Errorf("the program says of itself %+v, want %s of %s", told, version, commit)
	}
	optimized := debug.BuildSetting{Key: "-pgo", Value: "default.pgo"}
	if built := must(buildinfo.ReadFile(program))(t); !slices.Contains(built.Settings, optimized) {
		t.Errorf("the program was built with %v, want %v", built.Settings, optimized)
	}
}

// What can't be told from a version isn't released.
func TestRefusals(t *testing.T) {
	for _, args := range [][]string{{}, {"v1.2.3"}, {"1.2"}, {"1.2.3 "}, {"../1.2.3"}} {
		cmd := exec.CommandContext(t.Context(), "../../scripts/release", args...)
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "the version is to be as 1.2.3") {
			t.Errorf("%q: %v, %s", args, err, out)
		}
	}
}

// must returns a value, or ends the test.
func must[V any](v V, err error) func(*testing.T) V {
	return func(t *testing.T) V {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}
