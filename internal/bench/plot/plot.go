// Package plot draws figures as SVG: lines on logarithmic axes, bars, and flame graphs. The same input
// gives the same text.
package plot

import (
	"encoding/xml"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Figure is panels that share their x axis, one above the other.
type Figure struct {
	Title, X string
	Panels   []Panel
}

// Panel has lines of one unit.
type Panel struct {
	Y     string
	Lines []Line
}

// Line has points in the order of X.
type Line struct {
	Name   string
	Points []Point
}

// Point is as measured. X may be 0, which has a place of its own left of the others; Y is
// above 0.
type Point struct{ X, Y float64 }

// In pixels.
const (
	width, panelHeight      = 860, 300
	left, right, top, below = 70, 230, 56, 50
	barHeight, labelWidth   = 18, 300
)

// Those of Okabe and Ito, https://jfly.uni-koeln.de/color/, which everybody can tell apart.
var colours = []string{"#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"}

// canvas collects elements.
type canvas struct{ strings.Builder }

func (c *canvas) add(format string, args ...any) { fmt.Fprintf(c, format+"\n", args...) }

func (c *canvas) text(x, y float64, anchor, colour, text string) {
	c.add(`<text x="%.1f" y="%.1f" text-anchor="%s" fill="%s">%s</text>`, x, y, anchor, colour, escape(text))
}

func (c *canvas) svg(width, height int) string {
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" width="%[1]d" height="%[2]d" viewBox="0 0 %[1]d %[2]d" font-family="sans-serif" font-size="12">
<rect width="%[1]d" height="%[2]d" fill="white"/>
%[3]s</svg>
`, width, height, c.String())
}

func escape(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // a Builder never fails
	return b.String()
}

// SVG draws the figure.
func (f Figure) SVG() string {
	c := &canvas{}
	c.text(left, 20, "start", "black", f.Title)
	for i, panel := range f.Panels {
		f.draw(c, panel, float64(i*panelHeight))
	}
	return c.svg(width, panelHeight*len(f.Panels))
}

func (f Figure) draw(c *canvas, panel Panel, offset float64) {
	xs, ys := f.xs(), panel.ys()
	if len(ys) == 0 {
		return
	}
	x := newAxis(xs, left, width-right)
	y := newAxis(ys, offset+panelHeight-below, offset+top)
	for _, value := range xs {
		at := x.at(value)
		c.add(`<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="#eee"/>`, at, y.from, at, y.to)
		c.text(at, y.from+16, "middle", "#444", Number(value))
	}
	for _, value := range y.ticks() {
		at := y.at(value)
		c.add(`<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="#ddd"/>`, x.from, at, x.to, at)
		c.text(x.from-6, at+4, "end", "#444", Number(value))
	}
	c.text((x.from+x.to)/2, y.from+34, "middle", "black", f.X)
	c.text(x.from, y.to-6, "start", "black", panel.Y)
	for i, line := range panel.Lines {
		colour := colours[i%len(colours)]
		var path []string
		for _, p := range line.Points {
			path = append(path, fmt.Sprintf("%.1f,%.1f", x.at(p.X), y.at(p.Y)))
			c.add(`<circle cx="%.1f" cy="%.1f" r="3" fill="%s"><title>%s: %s, %s</title></circle>`, x.at(p.X), y.at(p.Y), colour, escape(line.Name), Number(p.X), Number(p.Y))
		}
		c.add(`<polyline points="%s" fill="none" stroke="%s" stroke-width="1.5"/>`, strings.Join(path, " "), colour)
		c.text(x.to+14, y.to+8+float64(i)*18, "start", colour, "● "+line.Name)
	}
}

// xs are those of all points, so that the panels have one axis.
func (f Figure) xs() (all []float64) {
	for _, panel := range f.Panels {
		for _, line := range panel.Lines {
			for _, p := range line.Points {
				all = append(all, p.X)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func (p Panel) ys() (all []float64) {
	for _, line := range p.Lines {
		for _, point := range line.Points {
			all = append(all, point.Y)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// axis has values from low to high between two pixels, by their logarithm. What isn't above 0
// is a step left of the least that is.
type axis struct {
	low, high, from, to float64
	zero                float64 // where 0 is; 0: nowhere
}

const zeroStep = 4 // 0 is drawn at the least value by this

// newAxis takes values in their order.
func newAxis(values []float64, from, to float64) axis {
	a := axis{from: from, to: to, high: values[len(values)-1]}
	for _, v := range slices.Backward(values) {
		if v > 0 {
			a.low = v
		}
	}
	if values[0] <= 0 {
		a.low /= zeroStep
		a.zero = a.low
	}
	if a.low == a.high { // one value is in the middle
		a.low, a.high = a.low/2, a.high*2
	}
	return a
}

func (a axis) at(value float64) float64 {
	if value <= 0 {
		value = a.zero
	}
	return a.from + (a.to-a.from)*math.Log(value/a.low)/math.Log(a.high/a.low)
}

// ticks are round values between low and high: powers of 10, and 2 and 5 times such where
// those are few.
func (a axis) ticks() (all []float64) {
	steps := []float64{1}
	if a.high/a.low < 1000 {
		steps = []float64{1, 2, 5}
	}
	for power := math.Floor(math.Log10(a.low)); power <= math.Log10(a.high); power++ {
		for _, step := range steps {
			if v := step * math.Pow(10, power); v >= a.low && v <= a.high {
				all = append(all, v)
			}
		}
	}
	return all
}

// Number is short: 1.5k, 20M, 64Ki.
func Number(v float64) string {
	short := func(v float64) string { return strconv.FormatFloat(v, 'g', 3, 64) }
	switch {
	case v >= 1024 && math.Mod(v, 1024) == 0 && v < 1<<20:
		return short(v/1024) + "Ki"
	case v >= 1e6:
		return short(v/1e6) + "M"
	case v >= 1e3:
		return short(v/1e3) + "k"
	}
	return short(v)
}

// Bars is groups of bars. Lengths are in proportion within a group only.
type Bars struct {
	Title  string
	Groups []Group
}

// Group has a bar for each name.
type Group struct {
	Name string
	Bars []Bar
}

// Bar has a value from 0.
type Bar struct {
	Name, Label string
	Value       float64
}

// SVG draws the bars: those of one name are of one colour.
func (b Bars) SVG() string {
	c := &canvas{}
	c.text(10, 20, "start", "black", b.Title)
	var names []string
	y := float64(top)
	for _, group := range b.Groups {
		c.text(labelWidth-10, y+barHeight/2+4, "end", "black", group.Name)
		most := 0.0
		for _, bar := range group.Bars {
			most = max(most, bar.Value)
		}
		for _, bar := range group.Bars {
			if !slices.Contains(names, bar.Name) {
				names = append(names, bar.Name)
			}
			length := 0.0
			if most > 0 {
				length = bar.Value / most * (width - labelWidth - right)
			}
			c.add(`<rect x="%d" y="%.1f" width="%.1f" height="%d" fill="%s"/>`, labelWidth, y, length, barHeight-4, colours[slices.Index(names, bar.Name)%len(colours)])
			c.text(labelWidth+length+6, y+barHeight/2+2, "start", "#444", bar.Name+": "+bar.Label)
			y += barHeight
		}
		y += barHeight / 2
	}
	return c.svg(width, int(y)+barHeight)
}
