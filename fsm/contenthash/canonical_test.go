package contenthash

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

func TestRefused(t *testing.T) {
	deep := func(n int, open, shut string) string { return strings.Repeat(open, n) + "0" + strings.Repeat(shut, n) }
	for name, tc := range map[string]struct {
		text string
		want error // nil: the tokenizer's own
	}{
		"empty":                   {"", nil},
		"space only":              {" \n", nil},
		"cut short":               {`{"a":1`, nil},
		"cut short after a colon": {`{"a":`, nil},
		"unquoted name":           {`{a:1}`, nil},
		"trailing comma":          {`{"a":1,}`, nil},
		"array cut short":         {`[1,`, nil},
		"two values":              {`{} {}`, errTrailing},
		"a value and rubbish":     {`{}x`, nil},
		"same name twice":         {`{"a":1,"a":1}`, errDuplicate},
		"same name, apart":        {`{"a":1,"b":{"c":[]},"a":2}`, errDuplicate},
		"same name, escaped":      {`{"a":1,"b":2,"\u0061":1}`, errDuplicate},
		"same name, deep inside":  {`{"z":[{"b":1,"a":1,"b":1}],"a":0}`, errDuplicate},
		"invalid UTF-8":           {"{\"a\":\"\xff\"}", nil},
		"invalid UTF-8 in a name": {"{\"\xc3\":1}", nil},
		"lone surrogate":          {`{"a":"\ud800"}`, nil},
		"bare control character":  {"{\"a\":\"\n\"}", nil},
		"number with a plus":      {`{"a":+1}`, nil},
		"number with a zero":      {`{"a":01}`, nil},
		"NaN":                     {`{"a":NaN}`, nil},
		"objects too deep":        {deep(MaxDepth+1, `{"a":`, `}`), errDepth},
		"arrays too deep":         {deep(MaxDepth+1, `[`, `]`), errDepth},
	} {
		t.Run(name, func(t *testing.T) {
			var h Hasher
			if _, err := h.Sum([]byte(tc.text), nil, nil); err == nil || (tc.want != nil && !errors.Is(err, tc.want)) {
				t.Errorf("as data: got %v, want %v", err, tc.want)
			}
			if _, err := h.Sum([]byte(`{}`), nil, []byte(tc.text)); err == nil {
				t.Error("as file: accepted")
			}
			// A refusal leaves nothing behind.
			after, err := h.Sum([]byte(`{"b":1,"a":2}`), nil, nil)
			fresh, _ := Sum([]byte(`{"a":2,"b":1}`), nil, nil)
			if err != nil || after != fresh {
				t.Errorf("the next record: %x, %v; want %x", after, err, fresh)
			}
		})
	}
	if _, err := Sum([]byte(deep(MaxDepth, `[`, `]`)), nil, nil); err != nil {
		t.Errorf("at the greatest depth: %v", err)
	}
}

// TestReverseOrderAtEveryLevel covers reordering inside reordering, down to the
// greatest depth and with members before and after the nested one.
func TestReverseOrderAtEveryLevel(t *testing.T) {
	in, want := "0", "0"
	for range MaxDepth {
		in = `{"c":1,"b":` + in + `,"a":2}`
		want = `{"a":2,"b":` + want + `,"c":1}`
	}
	var c canonicalizer
	got, err := c.canonical([]byte(in))
	if err != nil || string(got) != want {
		t.Fatalf("got %q, %v", got, err)
	}
}

func TestInputIsOnlyRead(t *testing.T) {
	in := []byte(`{"b" : "\u0061\n", "a":[1 , 2]}`)
	kept := bytes.Clone(in)
	var h Hasher
	for range 2 {
		if _, err := h.Sum(in, in, in); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(in, kept) {
		t.Errorf("the input became %q", in)
	}
}

func TestLargeBuffersAreDropped(t *testing.T) {
	var h Hasher
	huge := []byte(`{"b":1,"a":"` + strings.Repeat("x", 2*maxRetainedBytes) + `"}`)
	for _, data := range [][]byte{huge, []byte(`{}`)} {
		if _, err := h.Sum(data, nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	if got := max(cap(h.preimage), cap(h.canon.out), cap(h.canon.sorted)); got > maxRetainedBytes {
		t.Errorf("%d bytes are kept after a small record", got)
	}
}

func FuzzCanonical(f *testing.F) {
	for _, v := range readVectors(f) {
		data, _, file := v.fields()
		f.Add(data)
		f.Add(file)
	}
	f.Add([]byte(`{"a":1,"\u0061":2}`))
	f.Add([]byte(`[[{"b":0,"a":[{"d":1,"c":2}]}], {"z":"\ud83d\ude00"}]`))
	f.Fuzz(func(t *testing.T, in []byte) {
		var c canonicalizer
		out, err := c.canonical(in)
		if errors.Is(err, errDepth) {
			return
		}
		if valid := jsontext.Value(in).IsValid(); valid != (err == nil) {
			t.Fatalf("strictly valid: %t, but: %v", valid, err)
		}
		if err != nil {
			return
		}
		out = bytes.Clone(out)
		if len(out) > len(in) {
			t.Errorf("%q is longer than %q", out, in)
		}
		if again, err := c.canonical(out); err != nil || !bytes.Equal(again, out) {
			t.Errorf("the canonical form of %q is %q, %v", out, again, err)
		}
		if before, after := meaning(t, in), meaning(t, out); !reflect.DeepEqual(before, after) {
			t.Errorf("%q means something else than %q", out, in)
		}
	})
}

// meaning decodes with an independent decoder that keeps number literals.
func meaning(t *testing.T, in []byte) any {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(in))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}
