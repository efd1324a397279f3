package syncjson

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pipesync/fsm"
	"pipesync/fsm/contenthash"
)

var testOptions = Options{MaxOperations: 5, RequireTimestamp: true, RequireVectorStore: true}

// body is a valid request but for its operations.
func body(operations ...string) string {
	return `{"organization_id":"org_abc123","sync_mode":"incremental","sync_timestamp":"2026-01-31T09:30:00Z",` +
		`"vector_store_id":"vs_main","operations":[` + strings.Join(operations, ",") + `]}`
}

func upsert(fields string) string {
	return `{"action":"upsert","id":"a","namespace":"n"` + fields + `}`
}

func hash(t *testing.T, op fsm.Operation) fsm.Operation {
	t.Helper()
	if op.Action == fsm.Upsert {
		h, err := contenthash.Sum(op.Data, op.SourceSystem, op.File)
		if err != nil {
			t.Fatalf("hashing the expected operation: %v", err)
		}
		op.Hash = h
	}
	return op
}

func TestDecodeReadsEveryField(t *testing.T) {
	const nanos = 1769851800_000000000 // 2026-01-31T09:30:00Z
	// Operations come before the mode, and an operation's fields in any order.
	in := ` { "operations" : [
		{"data": {"b": 1.0, "a":"\u00e9"} , "namespace":"n/ü", "source_system":"air\u0062yte", "id":"t\"1", "action":"upsert",
		 "file":{ }, "created_at":"2026-01-01T00:00:00+0100", "updated_at":"20260102T000000.5Z"},
		{"action":"delete","id":"t2","namespace":"n/ü"},
		{"action":"upsert","id":"😀","namespace":"other"} ],
		"sync_timestamp":"2026-01-31T09:30:00Z", "vector_store_id":"vs_main",
		"sync_mode":"full_refresh", "max_delete_percent" : 12.5, "checkpoint":{ "state" : {"b": 1.0, "a":"\u00e9"} , "pipeline":"crm\/c"}, "on_stale":"r\u0065ject", "organization_id":"org_abc123" } `
	got, p := Decode([]byte(in), testOptions)
	if p != nil {
		t.Fatalf("refused: %+v", p)
	}
	want := &Request{
		OrganizationID: "org_abc123", VectorStoreID: "vs_main", HasVectorStore: true,
		Sync: fsm.Sync{Mode: fsm.FullRefresh, Timestamp: nanos, HasTimestamp: true, OnStale: fsm.RejectStale, MaxDelete: 12_500, HasMaxDelete: true,
			Checkpoint: &fsm.Checkpoint{Pipeline: "crm/c", State: []byte(`{"b": 1.0, "a":"\u00e9"}`)}, Operations: []fsm.Operation{
				hash(t, fsm.Operation{
					Action: fsm.Upsert, ID: `t"1`, Namespace: "n/ü",
					Data: []byte(`{"b": 1.0, "a":"\u00e9"}`), File: []byte(`{ }`), SourceSystem: []byte("airbyte"),
					CreatedAt: []byte("2026-01-01T00:00:00+0100"), UpdatedAt: []byte("20260102T000000.5Z"),
				}),
				{Action: fsm.Delete, ID: "t2", Namespace: "n/ü"},
				hash(t, fsm.Operation{Action: fsm.Upsert, ID: "😀", Namespace: "other"}),
			}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("decoded request (-want +got):\n%s", diff)
	}
}

func TestDecodeAccepts(t *testing.T) {
	long := strings.Repeat("é", maxKeyCodePoints)
	for name, in := range map[string]string{
		"no operations":            body(),
		"the limit of operations":  body(upsert(""), upsert(""), upsert(""), upsert(""), upsert("")),
		"an id of 255 code points": body(`{"action":"upsert","id":"` + long + `","namespace":"` + long + `"}`),
		"a source of 128":          body(upsert(`,"source_system":"` + strings.Repeat("ü", 128) + `"`)),
		"a path as an id":          body(`{"action":"delete","id":"../a//b?c=%2F","namespace":".."}`),
		"a no-break space":         body(`{"action":"delete","id":"\u00a0","namespace":" "}`),
		"a surrogate pair":         body(upsert(`,"data":{"a":"\ud83d\ude00"}`)),
		"the deepest nesting":      body(upsert(`,"data":` + nest(125))),
		"the longest number":       body(upsert(`,"data":{"n":` + strings.Repeat("7", 1000) + `}`)),
		"braces inside a string":   body(upsert(`,"data":{"a":"` + strings.Repeat(`{[\"\\`, 200) + `"}`)),
		"same keys at two levels":  body(upsert(`,"data":{"id":1,"a":{"id":2}}`)),
		"an operation twice":       body(upsert(""), upsert("")),
		"an escaped field name":    strings.Replace(body(), `"sync_mode"`, `"sync\u005fmode"`, 1),
	} {
		if _, p := Decode([]byte(in), testOptions); p != nil {
			t.Errorf("%s: refused: %+v", name, p)
		}
	}
}

// nest is an object of that many levels.
func nest(levels int) string {
	return strings.Repeat(`{"a":`, levels-1) + "{}" + strings.Repeat("}", levels-1)
}

func TestDecodeRefuses(t *testing.T) {
	type fault = Detail
	const notAllowed = "is not allowed in a delete, which takes action, id and namespace"
	const missing = "is required"
	atOne := func(field, code, message string) fault {
		return fault{Index: 0, Field: field, ID: "a", Namespace: "n", Code: code, Message: message}
	}
	ofRequest := func(field, code, message string) fault {
		return fault{Index: -1, Field: field, Code: code, Message: message}
	}
	tooLong := strings.Repeat("x", maxKeyCodePoints+1)
	tests := []struct {
		name, in, code string
		want           []fault
	}{
		{"an empty object", `{}`, ValidationFailed, []fault{
			ofRequest("organization_id", Required, missing), ofRequest("sync_mode", Required, missing),
			ofRequest("operations", Required, missing), ofRequest("sync_timestamp", Required, missing),
			ofRequest("vector_store_id", Required, missing),
		}},
		{"an array", `[{}]`, ValidationFailed, []fault{ofRequest("", WrongType, "must be a JSON object")}},
		{"null", `null`, ValidationFailed, []fault{ofRequest("", WrongType, "must be a JSON object")}},
		{"wrong types", `{"organization_id":1,"sync_mode":[],"operations":{},"sync_timestamp":1769851800,"vector_store_id":null}`,
			ValidationFailed, []fault{
				ofRequest("organization_id", WrongType, "must be a string"), ofRequest("sync_mode", WrongType, "must be a string"),
				ofRequest("operations", WrongType, "must be an array"), ofRequest("sync_timestamp", WrongType, "must be a string"),
				ofRequest("vector_store_id", WrongType, "must be a string"),
			}},
		{"wrong values", `{"organization_id":"acme","sync_mode":"full","operations":[],"sync_timestamp":"2026-01-31","vector_store_id":"vs_"}`,
			ValidationFailed, []fault{
				ofRequest("organization_id", InvalidValue, `must be "org_" followed by 1 to 64 letters, digits, underscores or hyphens`),
				ofRequest("sync_mode", InvalidValue, `must be "incremental" or "full_refresh"`),
				ofRequest("sync_timestamp", InvalidValue, errDateAlone.Error()),
				ofRequest("vector_store_id", InvalidValue, `must be "vs_" followed by 1 to 64 letters, digits, underscores or hyphens`),
			}},
		{"an empty full refresh", strings.Replace(body(), "incremental", "full_refresh", 1), ValidationFailed, []fault{
			ofRequest("operations", InvalidValue, "must not be empty in a full_refresh: it would name no namespace to refresh"),
		}},
		{"a misspelt field", strings.Replace(body(), "sync_mode", "syncMode", 1), ValidationFailed, []fault{
			ofRequest("syncMode", UnknownField, "is not a known field; did you mean sync_mode?"),
			ofRequest("sync_mode", Required, missing),
		}},
		{"a wrong on_stale", `{"on_stale":"Skip",` + body()[1:], ValidationFailed, []fault{
			ofRequest("on_stale", InvalidValue, `must be "skip" or "reject"`),
		}},
		{"an on_stale that is null", `{"on_stale":null,` + body()[1:], ValidationFailed, []fault{
			ofRequest("on_stale", WrongType, "must be a string"),
		}},
		{"an unknown field", body(upsert(`,"metadata":{"secret":1}`)), ValidationFailed, []fault{
			atOne("metadata", UnknownField, "is not a known field"),
		}},
		{"an empty checkpoint", `{"checkpoint":{},` + body(upsert(`,"data":1`))[1:], ValidationFailed, []fault{
			ofRequest("checkpoint.pipeline", Required, "is required in a checkpoint"),
			ofRequest("checkpoint.state", Required, "is required in a checkpoint"),
			atOne("data", WrongType, "must be a JSON object; leave it out where there is none"),
		}},
		{"a checkpoint that is null", `{"checkpoint":null,` + body()[1:], ValidationFailed, []fault{
			ofRequest("checkpoint", WrongType, "must be a JSON object; leave it out where there is none"),
		}},
		{"a wrong checkpoint", `{"checkpoint":{"pipeline":"a\u0000","State":1,"state":"` + strings.Repeat("x", 64<<10-1) + `"},` + body()[1:], ValidationFailed, []fault{
			ofRequest("checkpoint.pipeline", InvalidValue, "must not contain control characters"),
			ofRequest("checkpoint.State", UnknownField, "is not a known field; did you mean checkpoint.state?"),
			ofRequest("checkpoint.state", InvalidValue, "has 65537 bytes; the limit is 65536"),
		}},
		{"a pipeline that is no text", `{"checkpoint":{"pipeline":7,"state":1},` + body()[1:], ValidationFailed, []fault{
			ofRequest("checkpoint.pipeline", WrongType, "must be a string"),
		}},
		{"a guard that is no percentage", `{"max_delete_percent":100.001,` + body()[1:], ValidationFailed, []fault{
			ofRequest("max_delete_percent", InvalidValue, "must be a number from 0 to 100 with at most 3 digits after the point, such as 2.5"),
		}},
		{"a guard that is text", `{"max_delete_percent":"5",` + body()[1:], ValidationFailed, []fault{
			ofRequest("max_delete_percent", WrongType, "must be a number"),
		}},
		{"no object", body(`5`, `{"action":"delete","id":"a","namespace":"n"}`, `null`), ValidationFailed, []fault{
			{Index: 0, Code: WrongType, Message: "must be a JSON object"},
			{Index: 2, Code: WrongType, Message: "must be a JSON object"},
		}},
		{"an empty operation", body(`{}`), ValidationFailed, []fault{
			{Index: 0, Field: "action", Code: Required, Message: missing},
			{Index: 0, Field: "id", Code: Required, Message: missing},
			{Index: 0, Field: "namespace", Code: Required, Message: missing},
		}},
		{"an unknown action", body(`{"namespace":"n","action":"Upsert","id":"a"}`), ValidationFailed, []fault{
			atOne("action", InvalidValue, `must be "upsert" or "delete"`),
		}},
		{"a number as an id", body(`{"action":"upsert","id":1,"namespace":"n"}`), ValidationFailed, []fault{
			{Index: 0, Field: "id", Namespace: "n", Code: WrongType, Message: "must be a string"},
		}},
		{"empty keys", body(`{"action":"upsert","id":"","namespace":""}`), ValidationFailed, []fault{
			{Index: 0, Field: "id", Code: InvalidValue, Message: "must not be empty"},
			{Index: 0, Field: "namespace", Code: InvalidValue, Message: "must not be empty"},
		}},
		{"a key too long", body(`{"action":"upsert","id":"` + tooLong + `","namespace":"n"}`), ValidationFailed, []fault{
			{Index: 0, Field: "id", ID: tooLong[1:] + "…", Namespace: "n", Code: InvalidValue, Message: "must have at most 255 characters"},
		}},
		{"control characters", body(`{"action":"upsert","id":"a\u0000","namespace":"\u0085"}`), ValidationFailed, []fault{
			{Index: 0, Field: "id", ID: "a\x00", Namespace: "\u0085", Code: InvalidValue, Message: "must not contain control characters"},
			{Index: 0, Field: "namespace", ID: "a\x00", Namespace: "\u0085", Code: InvalidValue, Message: "must not contain control characters"},
		}},
		{"a deletion character", body(`{"action":"upsert","id":"a","namespace":"n\u007f"}`), ValidationFailed, []fault{
			{Index: 0, Field: "namespace", ID: "a", Namespace: "n\x7f", Code: InvalidValue, Message: "must not contain control characters"},
		}},
		{"a field missing after operations", `{"operations":[` + upsert("") + `],"sync_mode":"incremental","organization_id":"org_a"}`,
			ValidationFailed, []fault{ofRequest("sync_timestamp", Required, missing), ofRequest("vector_store_id", Required, missing)}},
		{"a delete with content", body(`{"data":{},"file":{},"source_system":"s","created_at":"2026-01-31T09:30:00Z",` +
			`"updated_at":"2026-01-31T09:30:00Z","action":"delete","id":"a","namespace":"n"}`), ValidationFailed, []fault{
			atOne("data", NotAllowed, notAllowed), atOne("source_system", NotAllowed, notAllowed),
			atOne("file", NotAllowed, notAllowed), atOne("created_at", NotAllowed, notAllowed),
			atOne("updated_at", NotAllowed, notAllowed),
		}},
		{"bad content", body(upsert(`,"data":[],"file":"x","source_system":"","created_at":"today","updated_at":null`)), ValidationFailed, []fault{
			atOne("data", WrongType, "must be a JSON object; leave it out where there is none"),
			atOne("file", WrongType, "must be a JSON object; leave it out where there is none"),
			atOne("source_system", InvalidValue, "must have 1 to 128 characters"),
			atOne("created_at", InvalidValue, errNotTimestamp.Error()),
			atOne("updated_at", WrongType, "must be a string"),
		}},
		{"a source too long", body(upsert(`,"source_system":"` + strings.Repeat("x", 129) + `"`)), ValidationFailed, []fault{
			atOne("source_system", InvalidValue, "must have 1 to 128 characters"),
		}},
		{"too many operations", body("1", "1", "1", "1", "1", "1"), BatchSizeExceeded, []fault{
			ofRequest("operations", BatchSizeExceeded, "has 6 elements; the limit is 5 a request"),
		}},
		{"very many operations", body(strings.Repeat("1,", 1000) + "1"), BatchSizeExceeded, []fault{
			ofRequest("operations", BatchSizeExceeded, "has more than 100 elements; the limit is 5 a request"),
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, p := Decode([]byte(tt.in), testOptions)
			if r != nil || p == nil {
				t.Fatalf("accepted: %+v", r)
			}
			if p.Code != tt.code || p.Total != len(tt.want) {
				t.Errorf("code %s, total %d; want %s, %d", p.Code, p.Total, tt.code, len(tt.want))
			}
			if diff := cmp.Diff(tt.want, p.Details); diff != "" {
				t.Errorf("details (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDecodeWithoutRequirements(t *testing.T) {
	in := `{"organization_id":"org_a","sync_mode":"incremental","operations":[]}`
	r, p := Decode([]byte(in), Options{MaxOperations: 1})
	if p != nil || r.HasVectorStore || r.Sync.HasTimestamp {
		t.Fatalf("got %+v, %+v; want neither a store nor a timestamp", r, p)
	}
	for field, o := range map[string]Options{
		"sync_timestamp": {MaxOperations: 1, RequireTimestamp: true}, "vector_store_id": {MaxOperations: 1, RequireVectorStore: true},
	} {
		if _, p := Decode([]byte(in), o); p == nil || p.Total != 1 || p.Details[0].Field != field {
			t.Errorf("requiring %s: %+v", field, p)
		}
	}
}

func TestDecodeIgnoresUnknownFieldsOnRequest(t *testing.T) {
	o := testOptions
	o.IgnoreUnknown = true
	in := `{"stream":{"a":[1]},` + body(upsert(`,"metadata":null,"data":{"a":1}`))[1:]
	r, p := Decode([]byte(in), o)
	if p != nil || string(r.Sync.Operations[0].Data) != `{"a":1}` {
		t.Fatalf("got %+v, %+v", r, p)
	}
	in = `{"checkpoint":{"pipeline":"p","note":1,"state":null},` + body()[1:]
	if r, p = Decode([]byte(in), o); p != nil || string(r.Sync.Checkpoint.State) != "null" {
		t.Errorf("got %+v, %+v", r, p)
	}
}

// Each bad operation is counted, the first hundred are named, and a fault of
// the request itself is never crowded out by them.
func TestDecodeBoundsItsDetails(t *testing.T) {
	ops := make([]string, 3000)
	for i := range ops {
		ops[i] = fmt.Sprintf(`{"action":"upsert","id":"%d","namespace":""}`, i)
	}
	in := strings.Replace(body(ops...), "incremental", "sometimes", 1)
	o := testOptions
	o.MaxOperations = 5000
	_, p := Decode([]byte(in), o)
	if p == nil || p.Total != 3001 || len(p.Details) != maxDetails {
		t.Fatalf("got %+v", p)
	}
	if p.Details[0].Field != "sync_mode" {
		t.Errorf("the first detail is %+v", p.Details[0])
	}
	for i, d := range p.Details[1:] {
		if d.Index != i || d.ID != fmt.Sprint(i) {
			t.Fatalf("detail %d is %+v", i+1, d)
		}
	}
	if want := `3001 problems; the first: sync_mode must be "incremental" or "full_refresh"`; p.Message != want {
		t.Errorf("message %q, want %q", p.Message, want)
	}
}

func TestCollectorKeepsNoMoreThanItTells(t *testing.T) {
	var c collector
	for i := range 1000 {
		c.add(Detail{Index: -1})
		c.add(Detail{Index: i})
	}
	if len(c.request) != maxDetails || len(c.operations) != maxDetails || c.problems().Total != 2000 {
		t.Errorf("%d and %d are kept", len(c.request), len(c.operations))
	}
}

func TestDecodeBoundsTheDetailsOfARequest(t *testing.T) {
	var fields strings.Builder
	for i := range 500 {
		fmt.Fprintf(&fields, `"extra%d":0,`, i)
	}
	_, p := Decode([]byte("{"+fields.String()+body(upsert(`,"data":0`))[1:]), testOptions)
	if p == nil || p.Total != 501 || len(p.Details) != maxDetails || p.Details[99].Field != "extra99" {
		t.Fatalf("got %+v", p)
	}
}

func TestDecodeAliasesTheBody(t *testing.T) {
	in := []byte(body(upsert(`,"data":{"a":1},"source_system":"s"`)))
	r, p := Decode(in, testOptions)
	if p != nil {
		t.Fatalf("refused: %+v", p)
	}
	op := r.Sync.Operations[0]
	at := strings.Index(string(in), `{"a":1}`)
	if &op.Data[0] != &in[at] {
		t.Error("data was copied")
	}
	if cap(op.Data) != len(op.Data) || cap(op.SourceSystem) != len(op.SourceSystem) {
		t.Error("an append to a field would overwrite the body")
	}
}
