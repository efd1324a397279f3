package syncjson

import (
	"fmt"
	"strings"
	"testing"
)

// batch is a request of n upserts of about 200 bytes each.
func batch(n int) []byte {
	ops := make([]string, n)
	for i := range ops {
		ops[i] = fmt.Sprintf(`{"action":"upsert","id":"task-%08d","namespace":"clickup_tasks","source_system":"airbyte",`+
			`"updated_at":"2026-01-31T09:30:00Z","data":{"title":"Task number %d","status":"in progress","assignee":"someone@example.com",`+
			`"estimate":%d.5,"tags":["a","b"],"done":false}}`, i, i, i%40)
	}
	return []byte(body(ops...))
}

func BenchmarkDecode(b *testing.B) {
	in := batch(5000)
	o := Options{MaxOperations: 5000}
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		if _, p := Decode(in, o); p != nil {
			b.Fatal(p.Message)
		}
	}
}

// The hostile bodies that cost most for their size.
func BenchmarkDecodeHostile(b *testing.B) {
	const size = 1 << 20
	var keys strings.Builder
	for i := 0; keys.Len() < size; i++ {
		fmt.Fprintf(&keys, `"%d":0,`, i)
	}
	for name, in := range map[string]string{
		"numbers as operations": body(strings.Repeat("0,", size/2) + "0"),
		"unknown fields":        "{" + keys.String() + `"x":0}`,
		"keys in data":          body(upsert(`,"data":{` + keys.String() + `"x":0}`)),
		"backslashes":           body(upsert(`,"data":{"a":"` + strings.Repeat(`\\`, size/2) + `"}`)),
		"quotes":                body(upsert(`,"data":{"a":"` + strings.Repeat(`\"`, size/2) + `"}`)),
		"brackets":              strings.Repeat("[", size),
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(in)))
			for b.Loop() {
				Decode([]byte(in), Options{MaxOperations: 5000})
			}
		})
	}
}
