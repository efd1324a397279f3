package syncjson

import (
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"pipesync/fsm"
)

// operations reads the array of operations.
func (d *decoder) operations() error {
	if d.json.PeekKind() != jsontext.KindBeginArray {
		return d.wrongType(fieldOperations, "must be an array")
	}
	if _, err := d.json.ReadToken(); err != nil {
		return err
	}
	d.req.Sync.Operations = []fsm.Operation{}
	for d.json.PeekKind() != jsontext.KindEndArray {
		if d.count >= d.opts.MaxOperations {
			return d.countExcess()
		}
		d.index = d.count
		d.count++
		if err := d.operation(); err != nil {
			return err
		}
	}
	d.index = -1
	_, err := d.json.ReadToken()
	return err
}

// countExcess counts the operations beyond the limit without looking into them.
func (d *decoder) countExcess() error {
	for d.json.PeekKind() != jsontext.KindEndArray && d.count <= countedBatches*d.opts.MaxOperations {
		if err := d.json.SkipValue(); err != nil {
			return err
		}
		d.count++
	}
	return errBatchTooLarge
}

// draft is an operation whose object has not ended yet.
type draft struct {
	op   fsm.Operation
	seen fieldSet
}

// fieldSet has bit i for operationFields[i].
type fieldSet uint8

const (
	seenAction fieldSet = 1 << iota
	seenID
	seenNamespace
	seenData
	seenSource
	seenFile
	seenCreated
	seenUpdated

	requiredSeen = seenAction | seenID | seenNamespace
	contentSeen  = ^requiredSeen
)

// operation reads one element of the array.
func (d *decoder) operation() error {
	if d.json.PeekKind() != jsontext.KindBeginObject {
		return d.wrongType("", "must be a JSON object")
	}
	kept := len(d.found.operations)
	start := d.json.InputOffset()
	d.draft = draft{}
	if err := d.members(d.visitOperation); err != nil {
		return err
	}
	d.checkOperation()
	op := &d.draft.op
	for i := kept; i < len(d.found.operations); i++ {
		d.found.operations[i].ID = clip(op.ID)
		d.found.operations[i].Namespace = clip(op.Namespace)
	}
	d.keep(int(d.json.InputOffset() - start))
	return nil
}

// operationField reads the value of one field of the operation.
func (d *decoder) operationField(name []byte) error {
	w := &d.draft
	var err error
	switch string(name) {
	case fieldAction:
		w.seen |= seenAction
		return d.action()
	case fieldID:
		w.seen |= seenID
		key, err := d.key(fieldID)
		w.op.ID = string(key)
		return err
	case fieldNamespace:
		w.seen |= seenNamespace
		key, err := d.key(fieldNamespace)
		w.op.Namespace = d.intern(key)
		return err
	case fieldData:
		w.seen |= seenData
		w.op.Data, err = d.object(fieldData)
		return err
	case fieldFile:
		w.seen |= seenFile
		w.op.File, err = d.object(fieldFile)
		return err
	case fieldSource:
		w.seen |= seenSource
		return d.source()
	case fieldCreated:
		w.seen |= seenCreated
		t, err := d.timestamp(fieldCreated)
		w.op.CreatedAt = t.bytes
		return err
	case fieldUpdated:
		w.seen |= seenUpdated
		t, err := d.timestamp(fieldUpdated)
		w.op.UpdatedAt = t.bytes
		return err
	}
	return d.unknown(string(name), operationFields)
}

// checkOperation decides what needs all fields of the operation.
func (d *decoder) checkOperation() {
	w := &d.draft
	if w.seen&requiredSeen != requiredSeen {
		for i, f := range operationFields {
			if bit := fieldSet(1) << i; requiredSeen&bit != 0 && w.seen&bit == 0 {
				d.problem(f, Required, "is required")
			}
		}
	}
	if w.op.Action == fsm.Delete && w.seen&contentSeen != 0 {
		for i, f := range operationFields {
			if bit := fieldSet(1) << i; contentSeen&bit&w.seen != 0 {
				d.problem(f, NotAllowed, "is not allowed in a delete, which takes action, id and namespace")
			}
		}
	}
}

// keep hashes the operation's content and appends it to the batch. Nothing is
// kept once the request is known to be refused.
func (d *decoder) keep(size int) {
	if d.found.total > 0 {
		return
	}
	op := &d.draft.op
	if op.Action == fsm.Upsert {
		hash, err := d.hasher.Sum(op.Data, op.SourceSystem, op.File)
		if err != nil {
			d.problem("", InvalidValue, "has content that can't be hashed")
			return
		}
		op.Hash = hash
	}
	ops := &d.req.Sync.Operations
	if len(*ops) == 0 {
		// Operations of a batch are mostly of one size, so the first foretells
		// how many there are.
		rest := len(d.body) - int(d.json.InputOffset())
		*ops = make([]fsm.Operation, 0, min(d.opts.MaxOperations, 1+rest/max(size, 1)+rest/8/max(size, 1)))
	}
	*ops = append(*ops, *op)
}

func (d *decoder) action() error {
	t, err := d.text(fieldAction)
	if err != nil || !t.ok {
		return err
	}
	switch string(t.bytes) {
	case "upsert":
		d.draft.op.Action = fsm.Upsert
	case "delete":
		d.draft.op.Action = fsm.Delete
	default:
		d.problem(fieldAction, InvalidValue, `must be "upsert" or "delete"`)
	}
	return nil
}

// key reads an id or a namespace. One that is refused is returned all the same,
// to name the operation by.
func (d *decoder) key(field string) ([]byte, error) {
	t, err := d.text(field)
	if err != nil || !t.ok {
		return nil, err
	}
	if fault := keyFault(t.bytes); fault != "" {
		d.problem(field, InvalidValue, fault)
	}
	return t.bytes, nil
}

func (d *decoder) source() error {
	t, err := d.text(fieldSource)
	if err != nil || !t.ok {
		return err
	}
	if n := utf8.RuneCount(t.bytes); n < 1 || n > maxSourceCodePoints {
		d.problem(fieldSource, InvalidValue, "must have 1 to 128 characters")
		return nil
	}
	d.draft.op.SourceSystem = t.bytes
	return nil
}

// intern returns namespace as a string that all its operations share.
func (d *decoder) intern(namespace []byte) string {
	if s, ok := d.namespaces[string(namespace)]; ok {
		return s
	}
	s := string(namespace)
	d.namespaces[s] = s
	return s
}
