package api

import (
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"net/url"
	"strconv"
	"strings"

	"pipesync/api/syncjson"
	"pipesync/fsm"
)

// A cursor is opaque to clients: base64url, without padding, of
//
//	┌─────────┬───────────────┬────────────────┬──────────────────────┐
//	│ version │ scope         │ generation     │ after                │
//	│ 1 byte  │ 4, big-endian │ 4, big-endian  │ the rest; may be ''  │
//	└─────────┴───────────────┴────────────────┴──────────────────────┘
//
// scope is a CRC-32C over the list's name, the cluster's epoch and what the
// list was asked for, so that a cursor can't be continued in another list or
// after a restore. generation is 0 where a list outlives refreshes. The page
// goes on with what sorts after `after`.
const (
	cursorVersion     = 1
	cursorHeaderBytes = 9
	// maxCursorChars holds the longest id: 255 code points of 4 bytes, twice.
	maxCursorChars = 4096
)

type cursor struct {
	scope      uint32
	generation uint32
	after      string
}

func (c cursor) encode() string {
	b := make([]byte, 0, cursorHeaderBytes+len(c.after))
	b = append(b, cursorVersion)
	b = binary.BigEndian.AppendUint32(b, c.scope)
	b = binary.BigEndian.AppendUint32(b, c.generation)
	return base64.RawURLEncoding.EncodeToString(append(b, c.after...))
}

func decodeCursor(text string) (c cursor, ok bool) {
	if len(text) > maxCursorChars || strings.ContainsAny(text, "\r\n") { // which base64 skips
		return c, false
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) < cursorHeaderBytes || b[0] != cursorVersion {
		return c, false
	}
	return cursor{
		scope:      binary.BigEndian.Uint32(b[1:5]),
		generation: binary.BigEndian.Uint32(b[5:9]),
		after:      string(b[cursorHeaderBytes:]),
	}, true
}

// cursorScope names one list of one state. Lengths separate the parts.
func cursorScope(view *fsm.View, parts ...string) uint32 {
	epoch := view.System().Epoch
	b := append([]byte(nil), epoch[:]...)
	for _, p := range parts {
		b = binary.AppendUvarint(b, uint64(len(p)))
		b = append(b, p...)
	}
	return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli))
}

const (
	defaultPage = 100
	maxPage     = 1000
)

// page is which part of a list is asked for.
type page struct {
	limit int
	cursor
}

// parsePage reads limit and cursor. generation is that of the list as it is now.
func parsePage(q url.Values, scope, generation uint32) (page, error) {
	p := page{limit: defaultPage, cursor: cursor{scope: scope, generation: generation}}
	if text := q.Get("limit"); text != "" {
		limit, err := strconv.Atoi(text)
		if err != nil || limit < 1 || limit > maxPage {
			return p, invalidParam("limit", "must be a number from 1 to "+strconv.Itoa(maxPage))
		}
		p.limit = limit
	}
	text := q.Get("cursor")
	if text == "" {
		return p, nil
	}
	c, ok := decodeCursor(text)
	if !ok {
		return p, failField(codeValidationFailed, "cursor", syncjson.InvalidValue, "is not one that this API gave")
	}
	if c.scope != scope {
		return p, fail(codeCursorExpired, "the cursor belongs to another list")
	}
	if c.generation != generation {
		return p, fail(codeCursorExpired, "the namespace has been refreshed since the list was begun")
	}
	p.after = c.after
	return p, nil
}

// cutPage cuts found, of which one more than p.limit was asked for, to p, and
// returns the next_cursor, nil at the end. name is what the list is ordered by.
func cutPage[T any](p page, found []T, name func(T) string) ([]T, *string) {
	if len(found) <= p.limit {
		return found, nil
	}
	found = found[:p.limit]
	return found, p.next(name(found[p.limit-1]))
}

// next is the next_cursor of a page that ended with last.
func (p page) next(last string) *string {
	p.after = last
	text := p.encode()
	return &text
}
