package syncjson

import (
	"strings"
	"testing"
)

func TestDecodeMalformed(t *testing.T) {
	tests := []struct {
		name, in string
		reason   string
		index    int
		field    string
	}{
		{"empty", ``, "it is empty", -1, ""},
		{"white space", " \n", "it ends too early", -1, ""},
		{"cut off", `{"operations":[{"id":"a`, "it ends too early", 0, "id"},
		{"cut off in data", `{"operations":[{"data":{"a":1}},{"data":{"a":{`, "it ends too early", 1, "data"},
		{"a bare word", `{"sync_mode":incremental}`, "a character that JSON does not allow there", -1, "sync_mode"},
		{"a trailing comma", `{"sync_mode":"x",}`, "a character that JSON does not allow there", -1, ""},
		{"a comment", `{/* */}`, "a character that JSON does not allow there", -1, ""},
		{"single quotes", `{'a':1}`, "a character that JSON does not allow there", -1, ""},
		{"a key without quotes", `{1:2}`, "an object has a key that is not a string", -1, ""},
		{"a bare control character", "{\"sync_mode\":\"a\nb\"}", "a character that JSON does not allow there", -1, "sync_mode"},
		{"a byte order mark", "\ufeff{}", "a character that JSON does not allow there", -1, ""},
		{"a leading zero", `{"operations":[{"data":{"a":01}}]}`, "a character that JSON does not allow there", 0, "data"},
		{"NaN", `{"operations":[{"data":{"a":NaN}}]}`, "a character that JSON does not allow there", 0, "data"},
		{"trailing data", body() + "{}", "more data after the end of the request", -1, ""},
		{"a trailing bracket", body() + " ]", "more data after the end of the request", -1, ""},
		{"a duplicate field", `{"sync_mode":"x","sync_mode":"x"}`, "an object has the same key twice", -1, "sync_mode"},
		{"a duplicate by escapes", `{"sync_mode":"x","sync_mod\u0065":"x"}`, "an object has the same key twice", -1, "sync_mode"},
		{"a duplicate in an operation", body(upsert(`,"id":"b"`)), "an object has the same key twice", 0, "id"},
		{"a duplicate in data", body(upsert(""), upsert(`,"data":{"hush":{"x":1,"x":2}}`)), "an object has the same key twice", 1, "data"},
		{"a duplicate in an unknown field", body(`{"hush":{"x":1,"x":2}}`), "an object has the same key twice", 0, ""},
		{"a duplicate in an ignored value", `{"other":{"x":1,"x":2}}`, "an object has the same key twice", -1, ""},
		{"invalid UTF-8 in data", body(upsert(`,"data":{"hush":"` + "\xff" + `"}`)), "invalid UTF-8", 0, "data"},
		{"invalid UTF-8 in a key", "{\"\xc3(\":1}", "invalid UTF-8", -1, ""},
		{"a UTF-8 surrogate", body(upsert(`,"data":{"hush":"` + "\xed\xa0\x80" + `"}`)), "invalid UTF-8", 0, "data"},
		{"an overlong slash", `{"sync_mode":"` + "\xc0\xaf" + `"}`, "invalid UTF-8", -1, "sync_mode"},
		{"a lone high surrogate", body(upsert(`,"data":{"hush":"\ud83d"}`)), "a surrogate without its other half", 0, "data"},
		{"a lone low surrogate", body(upsert(`,"file":{"hush":"\ude00 "}`)), "a surrogate without its other half", 0, "file"},
		{"two high surrogates", `{"sync_mode":"\ud83d\ud83d"}`, "a surrogate without its other half", -1, "sync_mode"},
		{"an unknown escape", `{"sync_mode":"\x41"}`, "an invalid escape sequence", -1, "sync_mode"},
		{"nested too deep", body(upsert(`,"data":` + nest(126))), "nested deeper than 128 levels", -1, ""},
		{"nested without end", strings.Repeat("[", 1<<20), "nested deeper than 128 levels", -1, ""},
		{"a number too long", body(upsert(`,"data":{"n":` + strings.Repeat("7", 1001) + `}`)), "a number longer than 1000 bytes", -1, ""},
		{"a decimal too long", `{"n":-1.` + strings.Repeat("0", 1000) + `e+5}`, "a number longer than 1000 bytes", -1, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, p := Decode([]byte(tt.in), testOptions)
			if p == nil || p.Code != MalformedJSON || p.Total != 1 || len(p.Details) != 1 {
				t.Fatalf("got %+v", p)
			}
			d := p.Details[0]
			if d.Code != MalformedJSON || d.Index != tt.index || d.Field != tt.field {
				t.Errorf("located at %d %q: %+v; want %d %q", d.Index, d.Field, d, tt.index, tt.field)
			}
			if !strings.HasPrefix(d.Message, tt.reason+" (at byte ") || !strings.Contains(p.Message, tt.reason+" at byte ") {
				t.Errorf("message %q; want %q", p.Message, tt.reason)
			}
			if strings.Contains(p.Message+d.Message, "hush") {
				t.Errorf("the message echoes data: %q, %q", p.Message, d.Message)
			}
		})
	}
}

func TestMalformedNamesTheByte(t *testing.T) {
	_, p := Decode([]byte(`{"operations": [{"id": x}]}`), testOptions)
	want := "the body is not acceptable JSON: a character that JSON does not allow there at byte 23, in operations[0].id"
	if p == nil || p.Message != want {
		t.Errorf("got %+v, want %q", p, want)
	}
}
