package syncjson

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"pipesync/fsm"
)

// quote writes text as a JSON string in one of the ways that mean the same.
func quote(t *rapid.T, text string) string {
	switch rapid.IntRange(0, 2).Draw(t, "quoting") {
	case 0:
		var b strings.Builder
		for _, u := range utf16.Encode([]rune(text)) {
			fmt.Fprintf(&b, `\u%04x`, u)
		}
		return `"` + b.String() + `"`
	case 1:
		q, _ := json.Marshal(text)
		return string(q)
	default:
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
	}
}

// object writes fields, already encoded, in any order and with any white space.
func object(t *rapid.T, fields map[string]string) string {
	order := rapid.Permutation(slices.Sorted(maps.Keys(fields))).Draw(t, "order")
	space := func() string { return rapid.SampledFrom([]string{"", " ", "\n\t", "\r\n "}).Draw(t, "space") }
	var b strings.Builder
	b.WriteString(space() + "{")
	for i, name := range order {
		if i > 0 {
			b.WriteString(",")
		}
		b.WriteString(space() + quote(t, name) + space() + ":" + space() + fields[name] + space())
	}
	return b.String() + "}"
}

var (
	keys = rapid.StringOfN(rapid.Rune().Filter(func(r rune) bool {
		return !unicode.IsControl(r) && !unicode.Is(unicode.Cs, r)
	}), 1, 20, -1)
	names    = rapid.StringMatching(`[A-Za-z0-9_-]{1,64}`)
	moments  = rapid.Int64Range(0, latestTimestamp)
	contents = rapid.SampledFrom([]string{`{}`, `{ "b" : 1.50, "a" : [ ] }`, `{"a":{"a":{"a":"\u0000\ud83d\ude00"}}}`,
		`{"n":9007199254740993,"m":-0.0e-5}`, `{"":null}`})
	times = rapid.SampledFrom([]string{"2026-01-31T09:30:00Z", "20260131T093000.123456789+0130", "1970-01-01T00:00:00"})
)

// genOperation draws an operation and its JSON.
func genOperation(t *rapid.T) (fsm.Operation, string) {
	op := fsm.Operation{Action: fsm.Delete, ID: keys.Draw(t, "id"), Namespace: keys.Draw(t, "namespace")}
	fields := map[string]string{"action": quote(t, "delete"), "id": quote(t, op.ID), "namespace": quote(t, op.Namespace)}
	if !rapid.Bool().Draw(t, "upsert") {
		return op, object(t, fields)
	}
	op.Action = fsm.Upsert
	fields["action"] = quote(t, "upsert")
	raw := func(name string, gen *rapid.Generator[string], into *[]byte) {
		if rapid.Bool().Draw(t, name+" present") {
			fields[name] = gen.Draw(t, name)
			*into = []byte(fields[name])
		}
	}
	str := func(name string, gen *rapid.Generator[string], into *[]byte) {
		raw(name, gen, into)
		if *into != nil {
			fields[name] = quote(t, fields[name])
		}
	}
	raw("data", contents, &op.Data)
	raw("file", contents, &op.File)
	str("source_system", keys, &op.SourceSystem)
	str("created_at", times, &op.CreatedAt)
	str("updated_at", times, &op.UpdatedAt)
	return op, object(t, fields)
}

// Any valid request, however it is written, decodes to what it means.
func TestDecodeIsInverseOfEncoding(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		want := &Request{OrganizationID: "org_" + names.Draw(rt, "organization")}
		mode := rapid.SampledFrom([]string{"incremental", "full_refresh"}).Draw(rt, "mode")
		want.Sync.Mode = map[string]fsm.Mode{"incremental": fsm.Incremental, "full_refresh": fsm.FullRefresh}[mode]
		fields := map[string]string{"organization_id": quote(rt, want.OrganizationID), "sync_mode": quote(rt, mode)}
		if rapid.Bool().Draw(rt, "has store") {
			want.HasVectorStore, want.VectorStoreID = true, "vs_"+names.Draw(rt, "store")
			fields["vector_store_id"] = quote(rt, want.VectorStoreID)
		}
		if rapid.Bool().Draw(rt, "has timestamp") {
			want.Sync.HasTimestamp, want.Sync.Timestamp = true, moments.Draw(rt, "timestamp")
			fields["sync_timestamp"] = quote(rt, written(rt, want.Sync.Timestamp))
		}
		want.Sync.Operations = []fsm.Operation{}
		var ops []string
		for range rapid.IntRange(int(want.Sync.Mode)-1, 8).Draw(rt, "operations") {
			op, text := genOperation(rt)
			want.Sync.Operations = append(want.Sync.Operations, hash(t, op))
			ops = append(ops, text)
		}
		fields["operations"] = "[" + strings.Join(ops, ",") + "]"
		in := object(rt, fields)
		got, p := Decode([]byte(in), Options{MaxOperations: 8})
		if p != nil {
			rt.Fatalf("refused: %+v\n%s", p, in)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			rt.Fatalf("decoded request (-want +got):\n%s\n%s", diff, in)
		}
	})
}
