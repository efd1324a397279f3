package contenthash

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"slices"

	"github.com/go-json-experiment/json/jsontext"
)

const (
	// MaxDepth is how many arrays and objects may enclose each other in one field.
	MaxDepth = 128
	// MaxTextBytes bounds one field. The canonical form is never longer than the text.
	MaxTextBytes = 1 << 30
)

var (
	errLength    = errors.New("text too long")
	errDepth     = errors.New("nested too deep")
	errDuplicate = errors.New("a member is named twice")
	errTrailing  = errors.New("more than one JSON value")
)

// duplicatesAllowed turns off the tokenizer's own check for duplicate names, which
// costs a map: names are compared here anyhow, in order.
var duplicatesAllowed = []jsontext.Options{jsontext.AllowDuplicateNames(true)}

// canonicalizer brings JSON text into its canonical form: no whitespace, the members
// of every object sorted by their decoded names as UTF-8 bytes, strings with the
// fewest and shortest escapes, numbers exactly as written.
//
// It works in two steps, so that the time is linear in the text however deep the
// nesting. walk writes everything canonically except the order of members, and notes
// the objects whose members came out of order. Only where there are any, reorder
// copies the text once more, members of those objects in sorted order.
type canonicalizer struct {
	dec *jsontext.Decoder
	in  bytes.Buffer

	out      []byte     // the text with members in the order in which they came
	sorted   []byte     // the text in canonical order, where that differs
	open     []member   // a stack: the members so far of each object being walked
	names    []byte     // a stack as well: their decoded names
	disorder []disorder // the objects to reorder
	moved    []span     // their members, each object's together and in sorted order
}

// span is a range of one of canonicalizer's buffers. It is narrow because there is
// one for each member, and a hostile text has one in every five bytes.
type span struct{ start, end uint32 }

// member is one member of an object: its name's range in canonicalizer.names, and
// where name, colon and value stand.
type member struct {
	name span
	text span
}

// disorder is an object whose members came out of order: where it stands, and which
// of canonicalizer.moved are its members.
type disorder struct {
	object  span
	members span
}

// canonical returns text in canonical form; the result is never nil and valid until
// the next call.
func (c *canonicalizer) canonical(text []byte) ([]byte, error) {
	if len(text) > MaxTextBytes {
		return nil, errLength
	}
	c.reset(text)
	if err := c.walk(0); err != nil {
		return nil, err
	}
	if _, err := c.dec.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, cmp.Or(err, errTrailing)
	}
	if len(c.disorder) == 0 {
		return c.out, nil
	}
	slices.SortFunc(c.disorder, func(a, b disorder) int { return cmp.Compare(a.object.start, b.object.start) })
	c.sorted = c.reorder(c.sorted[:0], span{0, c.position()})
	return c.sorted, nil
}

func (c *canonicalizer) reset(text []byte) {
	if cap(c.out) > maxRetainedBytes || cap(c.sorted) > maxRetainedBytes {
		*c = canonicalizer{dec: c.dec}
	}
	c.out, c.names = c.out[:0], c.names[:0]
	c.open, c.disorder, c.moved = c.open[:0], c.disorder[:0], c.moved[:0]
	c.in = *bytes.NewBuffer(text)
	if c.dec == nil {
		c.dec = new(jsontext.Decoder)
	}
	c.dec.Reset(&c.in, duplicatesAllowed...)
}

// walk writes the next value; depth counts the arrays and objects around it.
func (c *canonicalizer) walk(depth int) error {
	switch c.dec.PeekKind() {
	case '{':
		if depth == MaxDepth {
			return errDepth
		}
		return c.walkObject(depth + 1)
	case '[':
		if depth == MaxDepth {
			return errDepth
		}
		return c.walkArray(depth + 1)
	case '"':
		_, err := c.walkString()
		return err
	default:
		literal, err := c.dec.ReadValue()
		c.out = append(c.out, literal...)
		return err
	}
}

func (c *canonicalizer) walkArray(depth int) error {
	if _, err := c.dec.ReadToken(); err != nil {
		return err
	}
	c.out = append(c.out, '[')
	for first := true; c.dec.PeekKind() != ']'; first = false {
		if !first {
			c.out = append(c.out, ',')
		}
		if err := c.walk(depth); err != nil {
			return err
		}
	}
	c.out = append(c.out, ']')
	_, err := c.dec.ReadToken()
	return err
}

func (c *canonicalizer) walkObject(depth int) error {
	if _, err := c.dec.ReadToken(); err != nil {
		return err
	}
	object := span{start: c.position()}
	bottom, namesBottom := len(c.open), len(c.names)
	inOrder := true
	c.out = append(c.out, '{')
	for c.dec.PeekKind() != '}' {
		if len(c.open) > bottom {
			c.out = append(c.out, ',')
		}
		m, err := c.walkMember(depth)
		if err != nil {
			return err
		}
		if len(c.open) > bottom && inOrder {
			inOrder = c.compareNames(c.open[len(c.open)-1], m) < 0
		}
		c.open = append(c.open, m)
	}
	c.out = append(c.out, '}')
	if _, err := c.dec.ReadToken(); err != nil {
		return err
	}
	object.end = c.position()
	if !inOrder {
		if err := c.noteDisorder(object, c.open[bottom:]); err != nil {
			return err
		}
	}
	c.open, c.names = c.open[:bottom], c.names[:namesBottom]
	return nil
}

func (c *canonicalizer) walkMember(depth int) (member, error) {
	m := member{text: span{start: c.position()}}
	quoted, err := c.walkString()
	if err != nil {
		return m, err
	}
	m.name.start = uint32(len(c.names))
	if bytes.IndexByte(quoted, '\\') < 0 {
		c.names = append(c.names, quoted[1:len(quoted)-1]...)
	} else if c.names, err = jsontext.AppendUnquote(c.names, quoted); err != nil {
		return m, err
	}
	m.name.end = uint32(len(c.names))
	c.out = append(c.out, ':')
	err = c.walk(depth)
	m.text.end = c.position()
	return m, err
}

// walkString writes the next string and returns it as it stands in the input. A
// string without a backslash is canonical as it is: the tokenizer has refused
// invalid UTF-8 and bare control characters.
func (c *canonicalizer) walkString() (jsontext.Value, error) {
	quoted, err := c.dec.ReadValue()
	if err != nil {
		return nil, err
	}
	if bytes.IndexByte(quoted, '\\') < 0 {
		c.out = append(c.out, quoted...)
		return quoted, nil
	}
	bottom := len(c.names)
	if c.names, err = jsontext.AppendUnquote(c.names, quoted); err != nil {
		return nil, err
	}
	c.out, err = jsontext.AppendQuote(c.out, c.names[bottom:])
	c.names = c.names[:bottom]
	return quoted, err
}

func (c *canonicalizer) position() uint32 { return uint32(len(c.out)) }

func (c *canonicalizer) compareNames(a, b member) int {
	return bytes.Compare(c.names[a.name.start:a.name.end], c.names[b.name.start:b.name.end])
}

// noteDisorder sorts the members and keeps where they stand.
func (c *canonicalizer) noteDisorder(object span, members []member) error {
	slices.SortFunc(members, c.compareNames)
	kept := span{start: uint32(len(c.moved))}
	for i, m := range members {
		if i > 0 && c.compareNames(members[i-1], m) == 0 {
			return errDuplicate
		}
		c.moved = append(c.moved, m.text)
	}
	kept.end = uint32(len(c.moved))
	c.disorder = append(c.disorder, disorder{object, kept})
	return nil
}

// reorder appends the range of out to dst, with the members of every object in it in
// order. Each byte is copied once: an object inside a member is met when that member is.
func (c *canonicalizer) reorder(dst []byte, r span) []byte {
	for {
		next, _ := slices.BinarySearchFunc(c.disorder, r.start, func(d disorder, start uint32) int {
			return cmp.Compare(d.object.start, start)
		})
		if next == len(c.disorder) || c.disorder[next].object.start >= r.end {
			return append(dst, c.out[r.start:r.end]...)
		}
		d := c.disorder[next]
		dst = append(append(dst, c.out[r.start:d.object.start]...), '{')
		for i, m := range c.moved[d.members.start:d.members.end] {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = c.reorder(dst, m)
		}
		dst = append(dst, '}')
		r.start = d.object.end
	}
}
