package plot

import (
	"encoding/xml"
	"math"
	"slices"
	"strings"
	"testing"
)

// drawn is a flame graph's boxes as they are read back.
type drawn struct {
	Width float64 `xml:"width,attr"`
	Boxes []struct {
		Title string `xml:"title"`
		Text  string `xml:"text"`
		Rect  struct {
			X     float64 `xml:"x,attr"`
			Y     float64 `xml:"y,attr"`
			Width float64 `xml:"width,attr"`
		} `xml:"rect"`
	} `xml:"g"`
}

func TestFlameAddsUp(t *testing.T) {
	f := Flame{Title: "a <work>", Stacks: []Stack{
		{600, []string{"b.leaf", "a.(*T[…]).root"}},
		{100, []string{"c.<leaf>", "b.leaf", "a.(*T[…]).root"}},
		{200, []string{"a.(*T[…]).root"}},
		{99, []string{"b.leaf"}}, // another, called by nobody
		{1, []string{"d.rare", "b.leaf"}},
	}}
	svg := f.SVG()
	var got drawn
	if err := xml.Unmarshal([]byte(svg), &got); err != nil {
		t.Fatalf("%v in\n%s", err, svg)
	}
	// In the order of drawing, with where each begins and what it stands on.
	want := []struct {
		title, text string
		from, share float64
		level       int
	}{
		{"all: 1000 samples, 100.0 %", "all", 0, 1, 0},
		{"a.(*T[…]).root: 900 samples, 90.0 %", "a.(*T[…]).root", 0, 0.9, 1},
		{"b.leaf: 700 samples, 70.0 %", "b.leaf", 0, 0.7, 2},
		{"c.<leaf>: 100 samples, 10.0 %", "c.<leaf>", 0, 0.1, 3},
		{"b.leaf: 100 samples, 10.0 %", "b.leaf", 0.9, 0.1, 1},
	}
	if len(got.Boxes) != len(want) {
		t.Fatalf("%d boxes of %d:\n%s", len(got.Boxes), len(want), svg)
	}
	near := func(a, b float64) bool { return math.Abs(a-b) < 0.02 }
	for i, w := range want {
		b := got.Boxes[i]
		y := got.Boxes[0].Rect.Y - float64(w.level*flameRow)
		if b.Title != w.title || b.Text != w.text || !near(b.Rect.X, w.from*got.Width) || !near(b.Rect.Width, w.share*got.Width) || !near(b.Rect.Y, y) {
			t.Errorf("box %d: %+v, want %+v at %v", i, b, w, y)
		}
	}
	if top := got.Boxes[3].Rect.Y; top < 20 {
		t.Errorf("the highest box is at %v", top)
	}
	slices.Reverse(f.Stacks)
	for range 20 {
		if svg != f.SVG() {
			t.Fatal("it is drawn otherwise the second time, or with the stacks in another order")
		}
	}
	if !strings.Contains(svg, "a &lt;work&gt;") {
		t.Error("no title")
	}
}

func TestFlameOfNothing(t *testing.T) {
	if svg := (Flame{Title: "nothing"}).SVG(); strings.Contains(svg, "NaN") || !strings.Contains(texts(t, svg), "nothing") {
		t.Error(svg)
	}
}

func TestNamesAreFitted(t *testing.T) {
	for letters, want := range map[int]string{3: "ab…", 5: "ab…de", 9: "ab…de"} {
		if got := fitted("ab…de", letters); got != want {
			t.Errorf("%d letters: %q, want %q", letters, got, want)
		}
	}
}
