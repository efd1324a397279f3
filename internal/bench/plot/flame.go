package plot

import (
	"hash/fnv"
	"maps"
	"slices"
	"strings"
)

// Flame is a flame graph: what is called stands on what calls it, and a box is as wide as
// the samples in it are many.
type Flame struct {
	Title  string
	Stacks []Stack
}

// Stack was found so often. The function that was running is first, what called it next.
type Stack struct {
	Samples   int
	Functions []string
}

const (
	flameWidth, flameRow = 1200, 17 // pixels
	letterWidth          = 7
	leastShare           = 0.003 // of all samples; what has less is left out
)

// box is a function where it was called by those below.
type box struct {
	name    string
	samples int
	above   map[string]*box
}

// on is the box of a function that stands on this one.
func (b *box) on(name string) *box {
	if b.above[name] == nil {
		b.above[name] = &box{name: name, above: map[string]*box{}}
	}
	return b.above[name]
}

// shown are the boxes that stand on this one, in the order of their names.
func (b *box) shown(all int) (boxes []*box) {
	for _, name := range slices.Sorted(maps.Keys(b.above)) {
		if next := b.above[name]; float64(next.samples) >= leastShare*float64(all) {
			boxes = append(boxes, next)
		}
	}
	return boxes
}

func (b *box) height(all int) (rows int) {
	for _, next := range b.shown(all) {
		rows = max(rows, next.height(all))
	}
	return rows + 1
}

// SVG draws the graph. Each box tells its function and its samples where one points at it.
func (f Flame) SVG() string {
	root := &box{name: "all", above: map[string]*box{}}
	for _, s := range f.Stacks {
		at := root
		at.samples += s.Samples
		for _, name := range slices.Backward(s.Functions) {
			at = at.on(name)
			at.samples += s.Samples
		}
	}
	c := &canvas{}
	c.text(10, 20, "start", "black", f.Title)
	height := top + flameRow*root.height(root.samples)
	if root.samples > 0 {
		root.draw(c, 0, float64(height-flameRow), root.samples)
	}
	return c.svg(flameWidth, height)
}

func (b *box) draw(c *canvas, x, y float64, all int) {
	share := float64(b.samples) / float64(all)
	width := share * flameWidth
	pack, _, _ := strings.Cut(b.name, ".")
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(pack)) // a hash never fails
	c.add(`<g><title>%s: %d samples, %.1f %%</title><rect x="%.2f" y="%.1f" width="%.2f" height="%d" fill="%s" fill-opacity="0.4" stroke="white"/>`,
		escape(b.name), b.samples, 100*share, x, y, width, flameRow, colours[hash.Sum32()%uint32(len(colours))])
	if letters := int(width/letterWidth) - 1; letters > 2 {
		c.text(x+3, y+flameRow-5, "start", "black", fitted(b.name, letters))
	}
	c.add("</g>")
	for _, next := range b.shown(all) {
		next.draw(c, x, y-flameRow, all)
		x += float64(next.samples) / float64(all) * flameWidth
	}
}

// fitted is a name's beginning where the whole has more letters.
func fitted(name string, letters int) string {
	if runes := []rune(name); len(runes) > letters {
		return string(runes[:letters-1]) + "…"
	}
	return name
}
