package contenthash

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"

	"pgregory.net/rapid"
)

// A JSON value as a test knows it: literal for numbers, true, false and null,
// string, []any and object.
type (
	literal string
	object  []property // distinct names, in no order that means anything
)

type property struct {
	name  string
	value any
}

var (
	literals = rapid.SampledFrom([]literal{
		"0", "-0", "1", "1.0", "1e0", "1E+0", "9007199254740993", "9007199254740992", "true", "false", "null",
	})
	texts = rapid.StringOfN(rapid.SampledFrom([]rune("aAbz09 \"\\/\b\f\n\r\t\x00\x1f\x7f<é\u2028ﬁ😀\U0010ffff")), 0, 6, -1)
)

func values(depth int) *rapid.Generator[any] {
	kinds := []*rapid.Generator[any]{literals.AsAny(), texts.AsAny()}
	if depth > 0 {
		kinds = append(kinds, objects(depth).AsAny(), rapid.SliceOfN(rapid.Deferred(func() *rapid.Generator[any] {
			return values(depth - 1)
		}), 0, 3).AsAny())
	}
	return rapid.OneOf(kinds...)
}

func objects(depth int) *rapid.Generator[object] {
	return rapid.Custom(func(t *rapid.T) object {
		names := rapid.SliceOfNDistinct(texts, 0, 4, rapid.ID[string]).Draw(t, "names")
		o := object{}
		for _, name := range names {
			o = append(o, property{name, values(depth-1).Draw(t, "value")})
		}
		return o
	})
}

// spell writes v in one of its many spellings.
func spell(t *rapid.T, v any) string {
	space := func() string {
		return rapid.SampledFrom([]string{"", "", "", " ", "\n\t", "\r\n  "}).Draw(t, "space")
	}
	var b strings.Builder
	b.WriteString(space())
	switch v := v.(type) {
	case literal:
		b.WriteString(string(v))
	case string:
		b.WriteString(spellString(t, v))
	case []any:
		b.WriteString("[" + space())
		for i, element := range v {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(spell(t, element))
		}
		b.WriteByte(']')
	case object:
		b.WriteString("{" + space())
		for i, p := range rapid.Permutation(v).Draw(t, "order") {
			if i > 0 {
				b.WriteString("," + space())
			}
			b.WriteString(spellString(t, p.name) + space() + ":" + spell(t, p.value))
		}
		b.WriteByte('}')
	default:
		panic(fmt.Sprintf("%T", v))
	}
	b.WriteString(space())
	return b.String()
}

func spellString(t *rapid.T, s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		must := r < ' ' || r == '"' || r == '\\'
		if !must && rapid.IntRange(0, 3).Draw(t, "bare") > 0 {
			b.WriteRune(r)
			continue
		}
		short := strings.IndexRune("\"\\/\b\f\n\r\t", r)
		if short >= 0 && rapid.Bool().Draw(t, "short") {
			b.WriteString(`\` + `"\/bfnrt`[short:short+1])
			continue
		}
		format := rapid.SampledFrom([]string{`\u%04x`, `\u%04X`}).Draw(t, "hex")
		for _, unit := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&b, format, unit)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// canonicalOf is the definition of the canonical form, told without a parser.
func canonicalOf(v any) string {
	switch v := v.(type) {
	case literal:
		return string(v)
	case string:
		escapes := []string{`"`, `\"`, `\`, `\\`, "\b", `\b`, "\f", `\f`, "\n", `\n`, "\r", `\r`, "\t", `\t`}
		for c := range ' ' {
			escapes = append(escapes, string(c), fmt.Sprintf(`\u%04x`, c)) // the first pair for a character counts
		}
		return `"` + strings.NewReplacer(escapes...).Replace(v) + `"`
	case []any:
		var parts []string
		for _, element := range v {
			parts = append(parts, canonicalOf(element))
		}
		return "[" + strings.Join(parts, ",") + "]"
	case object:
		sorted := slices.SortedFunc(slices.Values(v), func(a, b property) int {
			return bytes.Compare([]byte(a.name), []byte(b.name))
		})
		var parts []string
		for _, p := range sorted {
			parts = append(parts, canonicalOf(p.name)+":"+canonicalOf(p.value))
		}
		return "{" + strings.Join(parts, ",") + "}"
	default:
		panic(fmt.Sprintf("%T", v))
	}
}

func TestSpellingNeverMatters(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := values(4).Draw(t, "value")
		var c canonicalizer
		for range 2 { // the second spelling meets used buffers
			in := spell(t, v)
			got, err := c.canonical([]byte(in))
			if err != nil {
				t.Fatalf("%q: %v", in, err)
			}
			if want := canonicalOf(v); string(got) != want {
				t.Fatalf("%q became %q, want %q", in, got, want)
			}
			again, err := c.canonical(slices.Clone(got))
			if err != nil || string(again) != canonicalOf(v) {
				t.Fatalf("the canonical form %q became %q, %v", canonicalOf(v), again, err)
			}
		}
	})
}

func TestEveryOtherChangeMatters(t *testing.T) {
	optionalText := func(g *rapid.Generator[any]) *rapid.Generator[any] {
		return rapid.OneOf(g, rapid.Just[any](nil))
	}
	type record struct{ data, source, file any } // nil: absent
	records := rapid.Custom(func(t *rapid.T) record {
		return record{
			data:   optionalText(objects(3).AsAny()).Draw(t, "data"),
			source: optionalText(texts.AsAny()).Draw(t, "source"),
			file:   optionalText(objects(2).AsAny()).Draw(t, "file"),
		}
	})
	sum := func(t *rapid.T, r record) [16]byte {
		var data, source, file []byte
		if r.data != nil {
			data = []byte(spell(t, r.data))
		}
		if r.source != nil {
			source = []byte(r.source.(string))
			source = append(make([]byte, 0, 1), source...) // empty is not nil
		}
		if r.file != nil {
			file = []byte(spell(t, r.file))
		}
		hash, err := Sum(data, source, file)
		if err != nil {
			t.Fatal(err)
		}
		return hash
	}
	rapid.Check(t, func(t *rapid.T) {
		a := records.Draw(t, "a")
		b := a
		switch rapid.SampledFrom([]string{"none", "data", "source", "file", "swap"}).Draw(t, "change") {
		case "data":
			if b.data != nil {
				b.data = change(t, a.data)
			}
		case "source":
			b.source = optionalText(texts.AsAny()).Draw(t, "other source")
		case "file":
			if b.file != nil {
				b.file = change(t, a.file)
			}
		case "swap":
			b.data, b.file = a.file, a.data
		}
		same := normal(a.data) == normal(b.data) && reflect.DeepEqual(a.source, b.source) && normal(a.file) == normal(b.file)
		if got := sum(t, a) == sum(t, b); got != same {
			t.Fatalf("equal hashes: %t, equal records: %t", got, same)
		}
	})
}

func normal(v any) string {
	if v == nil {
		return "absent"
	}
	return canonicalOf(v)
}

// change returns v with one thing changed somewhere inside, or rarely none.
func change(t *rapid.T, v any) any {
	switch v := v.(type) {
	case object:
		if len(v) == 0 || rapid.IntRange(0, 3).Draw(t, "add") == 0 {
			name := "new" + strconv.Itoa(len(v))
			return append(slices.Clone(v), property{name, values(1).Draw(t, "added")})
		}
		i := rapid.IntRange(0, len(v)-1).Draw(t, "member")
		out := slices.Clone(v)
		switch rapid.IntRange(0, 2).Draw(t, "how") {
		case 0:
			return slices.Delete(out, i, i+1)
		case 1:
			out[i].name += "new"
		default:
			out[i].value = change(t, out[i].value)
		}
		return out
	case []any:
		if len(v) < 2 || rapid.Bool().Draw(t, "append") {
			return append(slices.Clone(v), values(1).Draw(t, "appended"))
		}
		out := slices.Clone(v)
		i := rapid.IntRange(1, len(v)-1).Draw(t, "element")
		out[0], out[i] = out[i], out[0]
		return out
	default:
		return values(1).Draw(t, "other")
	}
}
