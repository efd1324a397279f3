package layout

import (
	"go/parser"
	"go/token"
	"strings"
	"testing"
)

// Each fixture is the body of a file that breaks exactly one rule, or none.
var fixtures = []struct {
	name, code string
	want       string // part of the one message; empty: clean
}{
	{"clean", `import "time"; func F(d time.Duration) time.Duration { return d }`, ""},
	{"time.Now", `import "time"; func F() time.Time { return time.Now() }`, "time.Now"},
	{"time.Since under another name", `import clock "time"; func F(t clock.Time) clock.Duration { return clock.Since(t) }`, "clock.Since"},
	{"time.Now as a value", `import "time"; var now = time.Now`, "time.Now"},
	{"dot import", `import . "time"; func F() Time { return Now() }`, "dot import"},
	{"timer", `import "time"; func F() { <-time.After(time.Second) }`, "time.After"},
	{"math/rand", `import "math/rand"; func F() int { return rand.Int() }`, "math/rand"},
	{"math/rand/v2", `import "math/rand/v2"; func F() int { return rand.Int() }`, "math/rand/v2"},
	{"crypto/rand", `import "crypto/rand"; var r = rand.Reader`, "crypto/rand"},
	{"regexp", `import "regexp"; var r = regexp.MustCompile("a")`, "regexp"},
	{"reflect", `import "reflect"; func F(a, b any) bool { return reflect.DeepEqual(a, b) }`, "reflect"},
	{"path.Match", `import "path"; func F(a, b string) (bool, error) { return path.Match(a, b) }`, "path.Match"},
	{"filepath.Match", `import "path/filepath"; func F(a, b string) (bool, error) { return filepath.Match(a, b) }`, "filepath.Match"},
	{"filepath.Join is fine", `import "path/filepath"; func F(a string) string { return filepath.Join(a, "b") }`, ""},
	{"os.Getenv", `import "os"; func F() string { return os.Getenv("HOME") }`, "os.Getenv"},
	{"os.Open is fine", `import "os"; func F() (*os.File, error) { return os.Open("CURRENT") }`, ""},
	{"float64", `func F(x int) int { return int(float64(x)) }`, "float64"},
	{"float32 field", `type T struct { f float32 }`, "float32"},
	{"float literal", `const share = 0.5`, "0.5"},
	{"map range", `func F(m map[string]int, f func(string)) { for k := range m { f(k) } }`, "ranges over a map"},
	{"named map range", `type M map[string]int; func F(m M, f func(string)) { for k := range m { f(k) } }`, "ranges over a map"},
	{"map field range in a closure", `type T struct{ m map[string]int }; func (t T) F(f func(string)) { g := func() { for k := range t.m { f(k) } }; g() }`, "ranges over a map"},
	{"map collected, not sorted", `func F(m map[string]int) (all []string) { for k := range m { all = append(all, k) }; return all }`, "ranges over a map"},
	{"map collected and sorted", `import "slices"; func F(m map[string]int) (all []string) { for k := range m { all = append(all, k) }; slices.Sort(all); return all }`, ""},
	{"sorted before only", `import "slices"; func F(m map[string]int, all []string) []string { slices.Sort(all); for k := range m { all = append(all, k) }; return all }`, "ranges over a map"},
	{"maps.Keys", `import "maps"; func F(m map[string]int, f func(string)) { for k := range maps.Keys(m) { f(k) } }`, "ranges over a map"},
	{"slices.Sorted", `import ("maps"; "slices"); func F(m map[string]int, f func(string)) { for _, k := range slices.Sorted(maps.Keys(m)) { f(k) } }`, ""},
	{"marked order-free", "func F(m map[string]int) (n int) {\n\t// order-free: a sum\n\tfor _, v := range m {\n\t\tn += v\n\t}\n\treturn n\n}", ""},
	{"slice range is fine", `func F(s []string, f func(string)) { for _, k := range s { f(k) } }`, ""},
}

func TestImpurityIsTold(t *testing.T) {
	for _, c := range fixtures {
		t.Run(c.name, func(t *testing.T) {
			fset := token.NewFileSet()
			file, err := parser.ParseFile(fset, "fixture.go", "package fsm\n"+c.code, parser.ParseComments|parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			found := checkPurity([]source{{path: "fixture.go", pkg: "fsm", fset: fset, file: file}})
			switch {
			case c.want == "" && len(found) != 0:
				t.Errorf("clean fixture refused: %q", found)
			case c.want != "" && (len(found) != 1 || !strings.Contains(found[0], c.want)):
				t.Errorf("found %q, want one message with %q", found, c.want)
			}
		})
	}
}
