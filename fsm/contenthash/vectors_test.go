package contenthash

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"os/exec"
	"testing"
)

var update = flag.Bool("update", false, "rewrite testdata/vectors.json from its inputs")

const vectorsPath = "testdata/vectors.json"

// vector is one entry of the golden file. Data and File are JSON text; null in
// the golden file means that the field is absent.
type vector struct {
	Name          string  `json:"name"`
	SameAs        string  `json:"same_as,omitempty"` // an earlier vector with the same hash
	Data          *string `json:"data"`
	Source        *string `json:"source_system"`
	File          *string `json:"file"`
	CanonicalData *string `json:"canonical_data"`
	CanonicalFile *string `json:"canonical_file"`
	Hashed        string  `json:"hashed"` // hex of the bytes given to SHA-256
	ContentHash   string  `json:"content_hash"`
}

func (v vector) fields() (data, source, file []byte) {
	return optional(v.Data), optional(v.Source), optional(v.File)
}

func optional(s *string) []byte {
	if s == nil {
		return nil
	}
	return []byte(*s)
}

func text(b []byte) *string {
	if b == nil {
		return nil
	}
	s := string(b)
	return &s
}

func readVectors(t testing.TB) []vector {
	t.Helper()
	raw, err := os.ReadFile(vectorsPath)
	if err != nil {
		t.Fatal(err)
	}
	var vs []vector
	if err := json.Unmarshal(raw, &vs); err != nil {
		t.Fatal(err)
	}
	return vs
}

// compute fills in what follows from a vector's inputs.
func (v vector) compute(t *testing.T) vector {
	t.Helper()
	data, source, file := v.fields()
	var h Hasher
	sum, err := h.Sum(data, source, file)
	if err != nil {
		t.Fatalf("%s: %v", v.Name, err)
	}
	v.ContentHash = hex.EncodeToString(sum[:])
	v.Hashed = hex.EncodeToString(h.preimage)
	v.CanonicalData = canonicalText(t, data)
	v.CanonicalFile = canonicalText(t, file)
	return v
}

func canonicalText(t *testing.T, in []byte) *string {
	t.Helper()
	if in == nil {
		return nil
	}
	var c canonicalizer
	out, err := c.canonical(in)
	if err != nil {
		t.Fatal(err)
	}
	return text(out)
}

func TestVectors(t *testing.T) {
	vs := readVectors(t)
	if *update {
		for i := range vs {
			vs[i] = vs[i].compute(t)
		}
		var out bytes.Buffer
		enc := json.NewEncoder(&out)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		if err := errors.Join(enc.Encode(vs), os.WriteFile(vectorsPath, out.Bytes(), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	var kept Hasher // one Hasher for all: nothing of a record may leak into the next
	for _, want := range vs {
		got := want.compute(t)
		for _, field := range []struct{ name, got, want string }{
			{"content_hash", got.ContentHash, want.ContentHash},
			{"hashed", got.Hashed, want.Hashed},
			{"canonical_data", string(optional(got.CanonicalData)), string(optional(want.CanonicalData))},
			{"canonical_file", string(optional(got.CanonicalFile)), string(optional(want.CanonicalFile))},
		} {
			if field.got != field.want {
				t.Errorf("%s: %s is %s, want %s", want.Name, field.name, field.got, field.want)
			}
		}
		sum, err := kept.Sum(want.fields())
		if err != nil || hex.EncodeToString(sum[:]) != want.ContentHash {
			t.Errorf("%s: a Hasher used before gives %x, %v", want.Name, sum, err)
		}
	}
}

// TestVectorsDiffer keeps the golden file honest: vectors are equal exactly where they say so.
func TestVectorsDiffer(t *testing.T) {
	byName, byHash := map[string]vector{}, map[string]string{}
	for _, v := range readVectors(t) {
		if _, taken := byName[v.Name]; taken {
			t.Errorf("two vectors are named %q", v.Name)
		}
		byName[v.Name] = v
		if v.SameAs != "" {
			if first := byName[v.SameAs]; first.ContentHash != v.ContentHash {
				t.Errorf("%s and %s differ", v.Name, v.SameAs)
			}
			continue
		}
		if other, taken := byHash[v.ContentHash]; taken {
			t.Errorf("%s has the hash of %s", v.Name, other)
		}
		byHash[v.ContentHash] = v.Name
	}
}

// TestVectorsInPython checks the vectors against the implementation that
// docs/FORMAT.md prints for authors of pipelines.
func TestVectorsInPython(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not installed")
	}
	cmd := exec.Command(python, "-B", "-c", `
import json
from contenthash import content_hash
for v in json.load(open("vectors.json", encoding="utf-8")):
    got = content_hash(v["data"], v["source_system"], v["file"])
    assert got == v["content_hash"], (v["name"], got, v["content_hash"])
`)
	cmd.Dir = "testdata"
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
