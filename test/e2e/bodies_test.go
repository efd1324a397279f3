package e2e

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"pipesync/client"
)

func gzipped(t *testing.T, plain []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func zstandard(t *testing.T, plain []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll(plain, nil)
}

func TestCompressedBodies(t *testing.T) {
	s := shared(t)
	tn := s.tenant(s.Nodes[0])
	for encoding, compress := range map[string]func(*testing.T, []byte) []byte{"gzip": gzipped, "zstd": zstandard} {
		var ops []client.Operation
		for i := range 500 {
			ops = append(ops, upsert(encoding, fmt.Sprint("r", i), fmt.Sprintf(`{"text":%q}`, strings.Repeat("text ", 40))))
		}
		plain, err := json.Marshal(tn.batch(client.Incremental, ops...))
		s.must(err)
		body := compress(t, plain)
		if len(body) >= len(plain)/2 {
			t.Fatalf("%s made %d of %d bytes", encoding, len(body), len(plain))
		}
		got := s.ok(s.answer(s.Nodes[1], request{path: syncPath, key: tn.key, body: body,
			header: map[string]string{"Content-Encoding": encoding}}))
		if got.Processed != 500 || len(s.all(s.Nodes[2], tn, encoding)) != 500 {
			t.Errorf("%s: %+v", encoding, got)
		}
	}
}

func TestBodiesThatInflateBeyondTheCap(t *testing.T) {
	s := shared(t)
	tn := s.tenant(s.Nodes[0])
	bomb := append([]byte(`{"organization_id":"`), bytes.Repeat([]byte(" "), 40<<20)...)
	for encoding, body := range map[string][]byte{"gzip": gzipped(t, bomb), "zstd": zstandard(t, bomb), "": bomb} {
		r := request{path: syncPath, key: tn.key, body: body}
		if encoding != "" {
			r.header = map[string]string{"Content-Encoding": encoding}
		}
		got, err := s.send(s.Nodes[0], r)
		if err != nil && encoding == "" {
			continue // the server may close the connection on a sender that goes on
		}
		s.must(err)
		s.refused(got, http.StatusRequestEntityTooLarge, "PAYLOAD_TOO_LARGE")
	}
}

func TestRefusedBodies(t *testing.T) {
	s := shared(t)
	tn := s.tenant(s.Nodes[0])
	valid, err := json.Marshal(tn.batch(client.Incremental, upsert("ns", "a", `{"k":"v"}`)))
	s.must(err)
	with := func(old, replacement string) string {
		if !strings.Contains(string(valid), old) {
			t.Fatalf("%s is not part of %s", old, valid)
		}
		return strings.Replace(string(valid), old, replacement, 1)
	}
	for _, c := range []struct {
		name, body string
		status     int
		code       string
		names      string // part of the answer
	}{
		{"no JSON", `{"organization_id":`, 400, "MALFORMED_JSON", ""},
		{"empty", ``, 400, "MALFORMED_JSON", ""},
		{"trailing data", string(valid) + `{}`, 400, "MALFORMED_JSON", ""},
		{"duplicate key", with(`"k":"v"`, `"k":"v","k":"w"`), 400, "MALFORMED_JSON", ""},
		{"duplicate field", with(`"sync_mode":`, `"sync_mode":"incremental","sync_mode":`), 400, "MALFORMED_JSON", ""},
		{"invalid UTF-8", with(`"v"`, "\"\xff\""), 400, "MALFORMED_JSON", ""},
		{"unknown field", with(`"sync_mode":`, `"sync_node":1,"sync_mode":`), 400, "VALIDATION_FAILED", "sync_node"},
		{"unknown field of an operation", with(`"action":`, `"actoin":1,"action":`), 400, "VALIDATION_FAILED", "actoin"},
		{"bad mode", with(`"incremental"`, `"partial"`), 400, "VALIDATION_FAILED", "sync_mode"},
		{"data is no object", with(`{"k":"v"}`, `["k"]`), 400, "VALIDATION_FAILED", "data"},
		{"control character in id", with(`"id":"a"`, `"id":"a\u0000"`), 400, "VALIDATION_FAILED", "id"},
		{"long id", with(`"id":"a"`, `"id":"`+strings.Repeat("é", 256)+`"`), 400, "VALIDATION_FAILED", "id"},
		{"a date alone", with(`"sync_timestamp":"`, `"sync_timestamp":"2026-01-01","x":"`), 400, "VALIDATION_FAILED", "sync_timestamp"},
		{"empty refresh", `{"organization_id":"` + tn.org + `","sync_mode":"full_refresh","operations":[]}`, 400, "VALIDATION_FAILED", "operations"},
		{"deep nesting", with(`{"k":"v"}`, strings.Repeat(`{"k":`, 200)+`1`+strings.Repeat(`}`, 200)), 400, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := s.sync(s.follower(), tn, c.body)
			var e envelope
			if err := json.Unmarshal(got.body, &e); err != nil || got.status != c.status || c.code != "" && e.Error.Code != c.code {
				t.Fatalf("answer %d, want %d %s: %s", got.status, c.status, c.code, got.body)
			}
			if !strings.Contains(string(got.body), c.names) {
				t.Errorf("the answer doesn't name %s: %s", c.names, got.body)
			}
		})
	}
	t.Run("media type", func(t *testing.T) {
		s.refused(s.answer(s.Nodes[0], request{path: syncPath, key: tn.key, body: valid,
			header: map[string]string{"Content-Type": "text/csv"}}), 415, "UNSUPPORTED_MEDIA_TYPE")
	})
	t.Run("Idempotency-Key", func(t *testing.T) {
		s.refused(s.answer(s.Nodes[0], request{path: syncPath, key: tn.key, body: valid,
			header: map[string]string{"Idempotency-Key": "k 1"}}), 400, "VALIDATION_FAILED")
	})
	if _, err := s.as(tn, s.Nodes[0]).Namespace(s.ctx, tn.store, "ns", client.ReadOptions{}); err == nil {
		t.Error("a refused batch made a namespace")
	}
}
