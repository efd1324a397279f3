package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// pgoBytesMax keeps what each renewal adds to the repository small.
const pgoBytesMax = 200 << 10

// What the program is built with has come from here.
func TestProgramsProfile(t *testing.T) {
	path := filepath.Join("..", "..", "cmd", "node", pgoName)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > pgoBytesMax {
		t.Errorf("it has %d bytes, more than %d", info.Size(), pgoBytesMax)
	}
	checkPGO(t, path, "pipesync/fsm.(*FSM).Apply")
}

// checkPGO wants the compiler to learn about a function, and nobody about paths.
func checkPGO(t *testing.T, path, function string) {
	t.Helper()
	edges, err := exec.CommandContext(t.Context(), "go", "tool", "preprofile", "-i", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(edges, []byte("\n"+function+"\n")) {
		t.Errorf("%s isn't in\n%.2000s", function, edges)
	}
	r, err := gzip.NewReader(strings.NewReader(read(t, path)))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{".go2", "/bin/", "/tmp/"} { // a 2 is what the next string begins with
		if at := bytes.Index(text, []byte(part)); at >= 0 {
			t.Errorf("there are paths: %q", text[max(0, at-50):at+len(part)])
		}
	}
}

func TestWhatIsNoProfileIsRefused(t *testing.T) {
	packed := func(text string) string {
		var out bytes.Buffer
		w := gzip.NewWriter(&out)
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	for _, text := range []string{"", "not packed", packed("\x32\x05four"), packed("\x32"), packed("\xff")} {
		if got, err := withoutPaths([]byte(text)); err == nil {
			t.Errorf("%q became %q", text, got)
		}
	}
}
