package syncjson

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// Malformed reports body as JSON that can't be read. err comes from jsontext;
// its own text is not passed on, because it quotes the input.
func Malformed(body []byte, err error) *Problems {
	var syntactic *jsontext.SyntacticError
	switch {
	case errors.As(err, &syntactic):
		offset := min(int(syntactic.ByteOffset), len(body))
		return malformedAt(offset, string(syntactic.JSONPointer), reasonOf(body[offset:], syntactic.Err))
	case errors.Is(err, io.EOF) && len(body) == 0:
		return malformedAt(0, "", "it is empty")
	default:
		return malformedAt(len(body), "", "it ends too early")
	}
}

func malformedAt(offset int, pointer, reason string) *Problems {
	d := locate(pointer)
	d.Code = MalformedJSON
	d.Message = reason + " (at byte " + strconv.Itoa(offset) + ")"
	message := fmt.Sprintf("the body is not acceptable JSON: %s at byte %d", reason, offset)
	if d.Index >= 0 || d.Field != "" {
		message += ", in " + d.path()
	}
	return &Problems{Code: MalformedJSON, Message: message, Details: []Detail{d}, Total: 1}
}

// reasonOf says in words of our own what jsontext found wrong; rest is the
// body from there on.
func reasonOf(rest []byte, err error) string {
	switch {
	case errors.Is(err, errTrailing):
		return errTrailing.Error()
	case errors.Is(err, jsontext.ErrDuplicateName):
		return "an object has the same key twice"
	case errors.Is(err, jsontext.ErrNonStringName):
		return "an object has a key that is not a string"
	case errors.Is(err, io.ErrUnexpectedEOF) || len(rest) == 0:
		return "it ends too early"
	}
	if r, size := utf8.DecodeRune(rest); r == utf8.RuneError && size == 1 {
		return "invalid UTF-8"
	}
	if len(rest) >= 6 && rest[0] == '\\' && rest[1] == 'u' {
		unit, err := strconv.ParseUint(string(rest[2:6]), 16, 16)
		if err == nil && 0xD800 <= unit && unit <= 0xDFFF {
			return "a surrogate without its other half"
		}
	}
	if rest[0] == '\\' {
		return "an invalid escape sequence"
	}
	return "a character that JSON does not allow there"
}

// locate keeps of an RFC 6901 pointer what names no content: the operation's
// index and a known field. Deeper keys belong to data.
func locate(pointer string) Detail {
	d := Detail{Index: -1}
	parts := strings.SplitN(pointer, "/", 5)
	if len(parts) < 2 {
		return d
	}
	if slices.Contains(requestFields, parts[1]) {
		d.Field = parts[1]
	}
	if parts[1] != fieldOperations || len(parts) < 3 {
		return d
	}
	index, err := strconv.Atoi(parts[2])
	if err != nil {
		return d
	}
	d.Index, d.Field = index, ""
	if len(parts) > 3 && slices.Contains(operationFields, parts[3]) {
		d.Field = parts[3]
	}
	return d
}
