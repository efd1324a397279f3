package syncjson

import (
	"bytes"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

const (
	maxKeyCodePoints    = 255 // of an id or a namespace
	maxSourceCodePoints = 128
	maxNameBytes        = 64 // after the prefix
)

// text is a decoded JSON string, or one that was refused and reported.
type text struct {
	bytes []byte
	nanos int64 // of a timestamp: since the Unix epoch
	ok    bool
}

// problem reports something about the operation that is being read, or about
// the request.
func (d *decoder) problem(field, code, message string) {
	d.found.add(Detail{Index: d.index, Field: field, Code: code, Message: message})
}

// wrongType reports the next value and skips it.
func (d *decoder) wrongType(field, message string) error {
	if err := d.json.SkipValue(); err != nil {
		return err
	}
	d.problem(field, WrongType, message)
	return nil
}

// unknown refuses a field, or skips it where the options say so.
func (d *decoder) unknown(name string, known []string) error {
	if !d.opts.IgnoreUnknown {
		message := "is not a known field"
		if d.found.room(d.index) {
			if s := suggest(name, known); s != "" {
				message += "; did you mean " + s + "?"
			}
			name = clip(name)
		}
		d.problem(name, UnknownField, message)
	}
	return d.json.SkipValue()
}

// members reads an object and calls visit with each key, decoded; visit reads
// the value. The key is valid until visit reads on.
func (d *decoder) members(visit func(name []byte) error) error {
	if _, err := d.json.ReadToken(); err != nil {
		return err
	}
	for d.json.PeekKind() != jsontext.KindEndObject {
		v, err := d.json.ReadValue()
		if err != nil {
			return err
		}
		name, err := unquote(v)
		if err != nil {
			return err
		}
		if err := visit(name); err != nil {
			return err
		}
	}
	_, err := d.json.ReadToken()
	return err
}

// raw reads the next value as the bytes that were sent, aliasing the body.
func (d *decoder) raw() ([]byte, error) {
	v, err := d.json.ReadValue()
	if err != nil {
		return nil, err
	}
	end := int(d.json.InputOffset())
	return d.body[end-len(v) : end : end], nil
}

// object reads a JSON object as it was sent; nil where it was refused.
func (d *decoder) object(field string) ([]byte, error) {
	if d.json.PeekKind() != jsontext.KindBeginObject {
		return nil, d.wrongType(field, "must be a JSON object; leave it out where there is none")
	}
	return d.raw()
}

// text reads a JSON string.
func (d *decoder) text(field string) (text, error) {
	if d.json.PeekKind() != jsontext.KindString {
		return text{}, d.wrongType(field, "must be a string")
	}
	v, err := d.raw()
	if err != nil {
		return text{}, err
	}
	b, err := unquote(v)
	return text{bytes: b, ok: err == nil}, err
}

// timestamp reads a JSON string that holds a moment.
func (d *decoder) timestamp(field string) (text, error) {
	t, err := d.text(field)
	if err != nil || !t.ok {
		return text{}, err
	}
	t.nanos, err = parseTimestamp(t.bytes)
	if err != nil {
		d.problem(field, InvalidValue, err.Error())
		return text{}, nil
	}
	return t, nil
}

// unquote decodes a valid JSON string, without a copy where it has no escape.
func unquote(v []byte) ([]byte, error) {
	if bytes.IndexByte(v, '\\') < 0 {
		return v[1 : len(v)-1 : len(v)-1], nil
	}
	return jsontext.AppendUnquote(nil, v)
}

// validName says whether name is prefix and 1..64 of [A-Za-z0-9_-].
func validName(name []byte, prefix string) bool {
	rest, ok := bytes.CutPrefix(name, []byte(prefix))
	if !ok || len(rest) < 1 || len(rest) > maxNameBytes {
		return false
	}
	for _, c := range rest {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}

// NameFault says what is wrong with a namespace's name, which is valid UTF-8, or
// nothing.
func NameFault(name string) string { return keyFault([]byte(name)) }

// keyFault says what is wrong with an id or a namespace, or nothing.
func keyFault(key []byte) string {
	if len(key) == 0 {
		return "must not be empty"
	}
	for i, c := range key {
		const c1Lead = 0xC2 // the first byte of U+0080 to U+00BF in UTF-8
		if c < 0x20 || c == 0x7F || c == c1Lead && key[i+1] < 0xA0 {
			return "must not contain control characters"
		}
	}
	if len(key) > maxKeyCodePoints && utf8.RuneCount(key) > maxKeyCodePoints {
		return "must have at most 255 characters"
	}
	return ""
}
