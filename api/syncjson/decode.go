package syncjson

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"pipesync/fsm"
	"pipesync/fsm/contenthash"
)

// Options bound and tune Decode.
type Options struct {
	// MaxOperations is how many operations a request may have.
	MaxOperations int
	// IgnoreUnknown skips unknown fields instead of refusing them.
	IgnoreUnknown bool
	// RequireTimestamp and RequireVectorStore refuse a request without
	// sync_timestamp or vector_store_id together with its other problems.
	RequireTimestamp   bool
	RequireVectorStore bool
}

// Request is a valid sync request. Of Sync only Mode, Timestamp, HasTimestamp,
// OnStale, MaxDelete, HasMaxDelete, Checkpoint and Operations are set; the rest is the caller's to fill in. Its byte slices
// alias the body where they can: neither may be changed.
type Request struct {
	OrganizationID string
	VectorStoreID  string
	HasVectorStore bool
	Sync           fsm.Sync
}

// countedBatches bounds how far a batch that is too large is counted, in
// multiples of Options.MaxOperations.
const countedBatches = 20

// Decode reads the body of a sync request. Exactly one of its results is nil.
// The work is linear in len(body), which the caller bounds; the problems kept
// are at most 100. It is safe for concurrent use.
func Decode(body []byte, o Options) (*Request, *Problems) {
	if offset, reason := findExcess(body); reason != "" {
		return nil, malformedAt(offset, "", reason)
	}
	d := decoder{
		body:       body,
		opts:       o,
		json:       jsontext.NewDecoder(bytes.NewBuffer(body)),
		req:        new(Request),
		index:      -1,
		namespaces: make(map[string]string),
	}
	d.visitOperation = d.operationField
	err := d.request()
	if errors.Is(err, errBatchTooLarge) {
		return nil, d.tooLarge()
	}
	if err != nil {
		return nil, Malformed(body, err)
	}
	if p := d.found.problems(); p != nil {
		return nil, p
	}
	return d.req, nil
}

// errBatchTooLarge ends the walk once a batch that is too large is counted.
var errBatchTooLarge = errors.New("batch too large")

// decoder is the state of one walk. Its methods return an error only where the
// walk can't go on; everything else is collected in found.
type decoder struct {
	body  []byte
	opts  Options
	json  *jsontext.Decoder
	req   *Request
	seen  map[string]bool // fields of the request
	found collector

	index      int // of the operation that is being read, else −1
	count      int // operations seen
	draft      draft
	hasher     contenthash.Hasher
	namespaces map[string]string
	// visitOperation is operationField, bound once.
	visitOperation func(name []byte) error
}

func (d *decoder) request() error {
	if d.json.PeekKind() != jsontext.KindBeginObject {
		if err := d.wrongType("", "must be a JSON object"); err != nil {
			return err
		}
		return d.end()
	}
	d.seen = make(map[string]bool, len(requestFields))
	if err := d.members(d.requestField); err != nil {
		return err
	}
	if err := d.end(); err != nil {
		return err
	}
	d.checkRequest()
	return nil
}

// requestField reads the value of one field of the request.
func (d *decoder) requestField(name []byte) error {
	if slices.Contains(requestFields, string(name)) {
		d.seen[string(name)] = true
	}
	switch string(name) {
	case fieldOrganization:
		return d.name(fieldOrganization, "org_", &d.req.OrganizationID)
	case fieldStore:
		d.req.HasVectorStore = true
		return d.name(fieldStore, "vs_", &d.req.VectorStoreID)
	case fieldMode:
		return d.mode()
	case fieldTimestamp:
		text, err := d.timestamp(fieldTimestamp)
		if text.ok {
			d.req.Sync.Timestamp, d.req.Sync.HasTimestamp = text.nanos, true
		}
		return err
	case fieldOnStale:
		return d.onStale()
	case fieldCheckpoint:
		return d.checkpoint()
	case fieldMaxDelete:
		return d.maxDelete()
	case fieldOperations:
		return d.operations()
	}
	return d.unknown(string(name), requestFields)
}

// checkRequest decides what needs all fields of the request.
func (d *decoder) checkRequest() {
	required := []string{fieldOrganization, fieldMode, fieldOperations}
	if d.opts.RequireTimestamp {
		required = append(required, fieldTimestamp)
	}
	if d.opts.RequireVectorStore {
		required = append(required, fieldStore)
	}
	for _, f := range required {
		if !d.seen[f] {
			d.problem(f, Required, "is required")
		}
	}
	if d.req.Sync.Mode == fsm.FullRefresh && d.req.Sync.Operations != nil && d.count == 0 {
		d.problem(fieldOperations, InvalidValue,
			"must not be empty in a full_refresh: it would name no namespace to refresh")
	}
}

// name reads an organization's or a vector store's id.
func (d *decoder) name(field, prefix string, into *string) error {
	text, err := d.text(field)
	if err != nil || !text.ok {
		return err
	}
	if !validName(text.bytes, prefix) {
		d.problem(field, InvalidValue,
			fmt.Sprintf("must be %q followed by 1 to 64 letters, digits, underscores or hyphens", prefix))
		return nil
	}
	*into = string(text.bytes)
	return nil
}

func (d *decoder) mode() error {
	text, err := d.text(fieldMode)
	if err != nil || !text.ok {
		return err
	}
	switch string(text.bytes) {
	case "incremental":
		d.req.Sync.Mode = fsm.Incremental
	case "full_refresh":
		d.req.Sync.Mode = fsm.FullRefresh
	default:
		d.problem(fieldMode, InvalidValue, `must be "incremental" or "full_refresh"`)
	}
	return nil
}

func (d *decoder) onStale() error {
	text, err := d.text(fieldOnStale)
	if err != nil || !text.ok {
		return err
	}
	switch string(text.bytes) {
	case "skip":
		d.req.Sync.OnStale = fsm.SkipStale
	case "reject":
		d.req.Sync.OnStale = fsm.RejectStale
	default:
		d.problem(fieldOnStale, InvalidValue, `must be "skip" or "reject"`)
	}
	return nil
}

func (d *decoder) maxDelete() error {
	if d.json.PeekKind() != jsontext.KindNumber {
		return d.wrongType(fieldMaxDelete, "must be a number")
	}
	literal, err := d.raw()
	if err != nil {
		return err
	}
	thousandths, ok := parsePercent(literal)
	if !ok {
		d.problem(fieldMaxDelete, InvalidValue, "must be a number from 0 to 100 with at most 3 digits after the point, such as 2.5")
		return nil
	}
	d.req.Sync.MaxDelete, d.req.Sync.HasMaxDelete = thousandths, true
	return nil
}

// tooLarge reports a batch over the limit, with as many operations as were
// counted.
func (d *decoder) tooLarge() *Problems {
	count := fmt.Sprint(d.count)
	if d.count > countedBatches*d.opts.MaxOperations {
		count = fmt.Sprint("more than ", countedBatches*d.opts.MaxOperations)
	}
	message := fmt.Sprintf("has %s elements; the limit is %d a request", count, d.opts.MaxOperations)
	return &Problems{
		Code:    BatchSizeExceeded,
		Message: fieldOperations + " " + message,
		Details: []Detail{{Index: -1, Field: fieldOperations, Code: BatchSizeExceeded, Message: message}},
		Total:   1,
	}
}

// end requires that nothing but white space follows the request.
func (d *decoder) end() error {
	offset := d.json.InputOffset()
	if _, err := d.json.ReadToken(); errors.Is(err, io.EOF) {
		return nil
	}
	space := len(d.body[offset:]) - len(bytes.TrimLeft(d.body[offset:], " \t\r\n"))
	return &jsontext.SyntacticError{ByteOffset: offset + int64(space), Err: errTrailing}
}

var errTrailing = errors.New("more data after the end of the request")
