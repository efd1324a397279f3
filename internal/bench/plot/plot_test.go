package plot

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
)

// texts are those of an SVG, which has to be XML.
func texts(t *testing.T, svg string) string {
	t.Helper()
	var all strings.Builder
	d := xml.NewDecoder(strings.NewReader(svg))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return all.String()
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, svg)
		}
		if text, is := token.(xml.CharData); is {
			all.Write(text)
			all.WriteByte('\n')
		}
	}
}

func TestFigureHasItsLines(t *testing.T) {
	f := Figure{Title: "growth <1>", X: "records", Panels: []Panel{
		{Y: "ms", Lines: []Line{{"inserts", []Point{{0, 1}, {10_000, 2}, {65_536, 40}}}, {"reads", []Point{{10_000, 0.5}}}}},
		{Y: "MiB", Lines: []Line{{"memory", []Point{{10_000, 100}}}}},
	}}
	svg := f.SVG()
	got := texts(t, svg)
	for _, want := range []string{"growth <1>", "records", "ms", "inserts", "reads", "MiB", "memory", "10k", "64Ki", "\n0\n", "\n20\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if n := strings.Count(svg, "<circle"); n != 5 {
		t.Errorf("%d points of 5", n)
	}
	if strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
		t.Errorf("a point is nowhere:\n%s", svg)
	}
	if svg != f.SVG() {
		t.Error("it is drawn otherwise the second time")
	}
}

func TestAxisIsLogarithmic(t *testing.T) {
	for _, c := range []struct {
		values []float64
		at     map[float64]float64
	}{
		{[]float64{1, 10, 100}, map[float64]float64{1: 0, 10: 50, 100: 100}},
		{[]float64{0, 4, 16}, map[float64]float64{0: 0, 4: 50, 16: 100}},
		{[]float64{5}, map[float64]float64{5: 50}},
	} {
		a := newAxis(c.values, 0, 100)
		for value, want := range c.at {
			if got := a.at(value); math.Abs(got-want) > 1e-9 {
				t.Errorf("%v of %v is at %v, want %v", value, c.values, got, want)
			}
		}
	}
	if got := newAxis([]float64{0.9, 30}, 0, 100).ticks(); len(got) != 5 || got[0] != 1 || got[4] != 20 {
		t.Errorf("ticks %v", got)
	}
	if got := newAxis([]float64{1, 100_000}, 0, 100).ticks(); len(got) != 6 {
		t.Errorf("ticks %v", got)
	}
}

func TestNumbersAreShort(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.25: "0.25", 999: "999", 1000: "1k", 2500: "2.5k", 65536: "64Ki", 3e6: "3M", 1.234e7: "12.3M"} {
		if got := Number(v); got != want {
			t.Errorf("%v is %s, want %s", v, got, want)
		}
	}
}

func TestBarsAreInProportion(t *testing.T) {
	svg := Bars{Title: "rates", Groups: []Group{
		{"inserts", []Bar{{"a", "50 k/s", 50}, {"b", "100 k/s", 100}}},
		{"reads", []Bar{{"b", "0", 0}}},
	}}.SVG()
	got := texts(t, svg)
	for _, want := range []string{"rates", "inserts", "reads", "a: 50 k/s", "b: 100 k/s"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	for _, want := range []string{`width="330.0" height="14" fill="#D55E00"`, `width="165.0" height="14" fill="#0072B2"`, `width="0.0" height="14" fill="#D55E00"`} {
		if !strings.Contains(svg, want) {
			t.Errorf("no bar with %s in\n%s", want, svg)
		}
	}
}
