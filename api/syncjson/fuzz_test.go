package syncjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"pipesync/fsm"
)

// acceptable is the standard library's word on whether text is JSON that two
// readers can't understand differently, within our bounds.
func acceptable(text []byte) bool {
	return utf8.Valid(text) && json.Valid(text) && !loneSurrogate(text) && distinctAndBounded(text)
}

// loneSurrogate looks for half a pair among the escapes of valid JSON.
func loneSurrogate(text []byte) bool {
	unit := func(i int) uint64 { // of the escape at i, or 0
		if i+6 > len(text) || text[i] != '\\' || text[i+1] != 'u' {
			return 0
		}
		u, err := strconv.ParseUint(string(text[i+2:i+6]), 16, 16)
		if err != nil {
			return 0
		}
		return u
	}
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			continue
		}
		switch u := unit(i); {
		case u >= 0xDC00 && u <= 0xDFFF:
			return true
		case u >= 0xD800 && u <= 0xDBFF:
			if low := unit(i + 6); low < 0xDC00 || low > 0xDFFF {
				return true
			}
			i += 11
		default:
			i++
		}
	}
	return false
}

// distinctAndBounded walks valid JSON: no key twice, nesting and numbers within
// their bounds.
func distinctAndBounded(text []byte) bool {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	type level struct {
		keys  map[string]bool // nil for an array
		isKey bool
	}
	var stack []level
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return true
		}
		if err != nil {
			return false
		}
		if top := len(stack) - 1; top >= 0 && stack[top].keys != nil && token != json.Delim('}') {
			if stack[top].isKey {
				key := token.(string)
				if stack[top].keys[key] {
					return false
				}
				stack[top].keys[key] = true
			}
			stack[top].isKey = !stack[top].isKey
		}
		switch v := token.(type) {
		case json.Number:
			if len(v) > maxNumberBytes {
				return false
			}
		case json.Delim:
			switch v {
			case '{':
				stack = append(stack, level{keys: map[string]bool{}, isKey: true})
			case '[':
				stack = append(stack, level{})
			default:
				stack = stack[:len(stack)-1]
			}
			if len(stack) > maxNesting {
				return false
			}
		}
	}
}

// plain is a request as the standard library decodes it.
type plain struct {
	OrganizationID string  `json:"organization_id"`
	SyncMode       string  `json:"sync_mode"`
	SyncTimestamp  *string `json:"sync_timestamp"`
	VectorStoreID  *string `json:"vector_store_id"`
	Operations     []struct {
		Action       string          `json:"action"`
		ID           string          `json:"id"`
		Namespace    string          `json:"namespace"`
		Data         json.RawMessage `json:"data"`
		File         json.RawMessage `json:"file"`
		SourceSystem *string         `json:"source_system"`
		CreatedAt    *string         `json:"created_at"`
		UpdatedAt    *string         `json:"updated_at"`
	} `json:"operations"`
}

func sameText(t *testing.T, field string, got []byte, want *string) {
	t.Helper()
	if (got == nil) != (want == nil) || want != nil && string(got) != *want {
		t.Fatalf("%s: %q, the standard library has %v", field, got, want)
	}
}

// compareWithPlain fails unless the standard library reads the same request.
func compareWithPlain(t *testing.T, in []byte, r *Request) {
	t.Helper()
	var want plain
	if err := json.Unmarshal(in, &want); err != nil {
		t.Fatalf("accepted what the standard library refuses: %v", err)
	}
	modes := map[fsm.Mode]string{fsm.Incremental: "incremental", fsm.FullRefresh: "full_refresh"}
	if r.OrganizationID != want.OrganizationID || modes[r.Sync.Mode] != want.SyncMode ||
		len(r.Sync.Operations) != len(want.Operations) ||
		r.HasVectorStore != (want.VectorStoreID != nil) || r.Sync.HasTimestamp != (want.SyncTimestamp != nil) ||
		want.VectorStoreID != nil && r.VectorStoreID != *want.VectorStoreID {
		t.Fatalf("decoded %+v, the standard library has %+v", r, want)
	}
	actions := map[fsm.Action]string{fsm.Upsert: "upsert", fsm.Delete: "delete"}
	for i, op := range r.Sync.Operations {
		w := want.Operations[i]
		if actions[op.Action] != w.Action || op.ID != w.ID || op.Namespace != w.Namespace ||
			!bytes.Equal(op.Data, w.Data) || !bytes.Equal(op.File, w.File) {
			t.Fatalf("operation %d is %+v, the standard library has %+v", i, op, w)
		}
		sameText(t, "source_system", op.SourceSystem, w.SourceSystem)
		sameText(t, "created_at", op.CreatedAt, w.CreatedAt)
		sameText(t, "updated_at", op.UpdatedAt, w.UpdatedAt)
	}
}

func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		body(),
		body(upsert(`,"data":{"b":1,"a":[true,null,1e5,"\u00e9\ud83d\ude00"]}`), `{"action":"delete","id":"x","namespace":"n"}`),
		strings.Replace(body(upsert(`,"file":{"url":"x"},"source_system":"s","created_at":"20260131T093000"`)), "incremental", "full_refresh", 1),
		body(upsert(`,"data":{"a":1,"a":2}`)),
		body(upsert(`,"data":{"a":"\ud83d"}`)),
		body(upsert(`,"data":` + nest(126))),
		body("1", "2", "3", "4", "5", "6"),
		body(upsert("")) + " x",
		`{"checkpoint":{},"sync_mod":1}`,
		`{"on_stale":"reject",` + body()[1:],
		`[]`, ``, `{`, `{"a":01}`, "\"\xff\"",
	} {
		f.Add([]byte(seed), true)
		f.Add([]byte(seed), false)
	}
	f.Fuzz(func(t *testing.T, in []byte, lenient bool) {
		kept := bytes.Clone(in)
		r, p := Decode(in, Options{MaxOperations: 5, IgnoreUnknown: lenient, RequireTimestamp: lenient})
		if !bytes.Equal(in, kept) {
			t.Fatal("the body was changed")
		}
		switch {
		case (r == nil) == (p == nil):
			t.Fatalf("a request %v and problems %v", r, p)
		case p != nil && p.Code == BatchSizeExceeded:
			return // the rest was not read
		case acceptable(in) == (p != nil && p.Code == MalformedJSON):
			t.Fatalf("problems %+v; the standard library's view is the opposite", p)
		case p != nil && (p.Message == "" || len(p.Details) != min(p.Total, maxDetails) || p.Total == 0):
			t.Fatalf("incoherent problems %+v", p)
		case r != nil && !lenient:
			compareWithPlain(t, in, r)
		}
	})
}
