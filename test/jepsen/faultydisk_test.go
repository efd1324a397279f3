package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestTouch(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	do := func(how, file string) (got touched) {
		t.Helper()
		var out bytes.Buffer
		if err := touchHere(file, how, &out); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(out.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := do("write", file); got.Error != "" || got.Took <= 0 {
		t.Errorf("%+v of a write", got)
	}
	if got := do("read", file); got.Error != "" || got.Differ {
		t.Errorf("%+v of a read", got)
	}
	if err := os.WriteFile(file, []byte("else"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := do("read", file); !got.Differ {
		t.Errorf("%+v of another content", got)
	}
	if got := do("read", filepath.Dir(file)); got.Error != syscall.EISDIR.Error() {
		t.Errorf("%+v of a directory", got)
	}
}
