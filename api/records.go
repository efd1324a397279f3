package api

import (
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"pipesync/fsm"
)

// maxPageBytes ends a page of records early, after the record that reaches it;
// next_cursor goes on from there.
const maxPageBytes = 8 << 20

func (s *server) handleRecord(c *call) error {
	return s.readNamespace(c, func(v *fsm.View, n fsm.NamespaceInfo, org, store string) error {
		record, ok, err := v.Record(org, store, n.Name, c.param("id"))
		if err != nil {
			return fmt.Errorf("reading a record: %w", err)
		}
		if !ok {
			return fail(codeRecordNotFound, "the namespace has no record with this id")
		}
		c.replyJSON(http.StatusOK, appendRecord(nil, &record))
		return nil
	})
}

func (s *server) handleRecords(c *call) error {
	return s.readNamespace(c, func(v *fsm.View, n fsm.NamespaceInfo, org, store string) error {
		scope := cursorScope(v, "records", org, store, n.Name)
		p, err := parsePage(c.r.URL.Query(), scope, uint32(n.Generation))
		if err != nil {
			return err
		}
		list := recordList{view: v, namespace: n, org: org, store: store, page: p}
		body, err := list.encode()
		if err != nil {
			return err
		}
		c.replyJSON(http.StatusOK, body)
		return nil
	})
}

// recordList encodes one page. It is written by hand, because what was pushed
// as data goes out byte for byte.
type recordList struct {
	view       *fsm.View
	namespace  fsm.NamespaceInfo
	org, store string
	page       page

	body []byte
	last string // the id of the last record that was encoded
}

func (l *recordList) encode() ([]byte, error) {
	l.body = append(l.body, `{"records":[`...)
	more, err := l.appendRecords()
	if err != nil {
		return nil, err
	}
	l.body = append(l.body, `],"next_cursor":`...)
	if more {
		l.body = appendString(l.body, *l.page.next(l.last))
	} else {
		l.body = append(l.body, "null"...)
	}
	return append(l.body, '}'), nil
}

// appendRecords says whether there are more records than the page holds.
func (l *recordList) appendRecords() (more bool, err error) {
	left := l.page.limit
	for record, err := range l.view.Records(l.org, l.store, l.namespace.Name, l.namespace.Generation, l.page.after) {
		if err != nil {
			return false, fmt.Errorf("listing records: %w", err)
		}
		if left == 0 || len(l.body) >= maxPageBytes {
			return true, nil
		}
		if left < l.page.limit {
			l.body = append(l.body, ',')
		}
		l.body = appendRecord(l.body, &record)
		l.last = record.ID
		left--
	}
	return false, nil
}

// appendRecord encodes a record. A field that was absent when it was pushed is
// absent here.
func appendRecord(b []byte, r *fsm.Record) []byte {
	b = appendString(append(b, `{"id":`...), r.ID)
	b = appendString(append(b, `,"namespace":`...), r.Namespace)
	b = appendRaw(b, `,"data":`, r.Data)
	b = appendText(b, `,"source_system":`, r.SourceSystem)
	b = appendRaw(b, `,"file":`, r.File)
	b = appendText(b, `,"created_at":`, r.CreatedAt)
	b = appendText(b, `,"updated_at":`, r.UpdatedAt)
	b = appendString(append(b, `,"sync_timestamp":`...), timestamp(r.SyncTimestamp))
	b = appendString(append(b, `,"sync_id":`...), r.SyncID)
	b = appendString(append(b, `,"content_hash":`...), hex.EncodeToString(r.Hash[:]))
	b = strconv.AppendUint(append(b, `,"index":`...), r.Index, 10)
	return append(b, '}')
}

func appendRaw(b []byte, name string, value []byte) []byte {
	if value == nil {
		return b
	}
	return append(append(b, name...), value...)
}

func appendText(b []byte, name string, value []byte) []byte {
	if value == nil {
		return b
	}
	return appendString(append(b, name...), string(value))
}

func appendString(b []byte, s string) []byte {
	b, _ = jsontext.AppendQuote(b, s) // stored text is valid UTF-8
	return b
}
