package fsm

import (
	"fmt"
	"math"
)

// A result's bytes:
//
//	┌──────┬─────────┬─────────┬───────┬───────┐
//	│ 0x81 │ version │ outcome │ flags │ index │  12 bytes; flag 1 = created, flag 2 = a sync part follows,
//	                                                        flag 4 = which ends with losses, flag 8 = of a skipped checkpoint,
//	                                                        flag 16 = with an excess, flag 32 = with a time to wait
//	└──────┴─────────┴─────────┴───────┴───────┘
//	┌─────────┬────────────────────────────┬──────────────────────────────────────┐
//	│ sync id │ upserted, deleted, skipped │ created, updated, unchanged, removed │  text, 3 uvarints, 4 uvarints
//	├─────────┴─────────────────────┬──────┴──────────┬───────────────────────────┤
//	│ limit, remaining, reset, len  │ namespace count │ name, upserted, deleted,… │  4 × u32, uvarint, per namespace
//	├──────────────────────┬────────┴────────────┬────┴───────────────────────────┘
//	│ live, removed, guard │ quota figure, limit │ wait │  3 uvarints; u8, 2 uvarints; u32
//	└──────────────────────┴─────────────────────┴──────┘
const (
	resultVersion      = 1
	resultFlagCreated  = 1
	resultFlagSync     = 2
	resultFlagLosses   = 4
	resultFlagSkipped  = 8
	resultFlagExcess   = 16
	resultFlagRetry    = 32
	resultNamespaceMin = 5 // bytes: name length and a byte of name, three counts
)

// Encode returns the reply's bytes, the same on every path.
func (r *Result) Encode() []byte {
	size := 12
	if r.Sync != nil {
		size += 96 + len(r.Sync.SyncID)
		for i := range r.Sync.ByNamespace {
			size += 16 + len(r.Sync.ByNamespace[i].Namespace)
		}
	}
	e := encoder{make([]byte, 0, size)}
	e.u8(formatResult)
	e.u8(resultVersion)
	e.u8(byte(r.Outcome))
	var flags byte
	if r.Created {
		flags |= resultFlagCreated
	}
	if r.Sync != nil {
		flags |= resultFlagSync
	}
	if r.Sync != nil && r.Sync.Losses != nil {
		flags |= resultFlagLosses
	}
	if r.Sync != nil && r.Sync.CheckpointSkipped {
		flags |= resultFlagSkipped
	}
	if r.Sync != nil && r.Sync.Excess != nil {
		flags |= resultFlagExcess
	}
	if r.Sync != nil && r.Sync.RetryMillis != 0 {
		flags |= resultFlagRetry
	}
	e.u8(flags)
	e.u64(r.Index)
	if r.Sync != nil {
		r.Sync.encode(&e)
	}
	return e.b
}

func (s *SyncResult) encode(e *encoder) {
	e.text(s.SyncID)
	s.Counts.encode(e)
	e.uvarint(s.Details.Created)
	e.uvarint(s.Details.Updated)
	e.uvarint(s.Details.Unchanged)
	e.uvarint(s.Details.Removed)
	e.u32(s.Window.Limit)
	e.u32(s.Window.Remaining)
	e.u32(s.Window.ResetMillis)
	e.u32(s.Window.WindowMillis)
	e.uvarint(uint64(len(s.ByNamespace)))
	for i := range s.ByNamespace {
		e.text(s.ByNamespace[i].Namespace)
		s.ByNamespace[i].Counts.encode(e)
	}
	if s.Losses != nil {
		e.uvarint(s.Losses.Live)
		e.uvarint(s.Losses.Removed)
		e.uvarint(uint64(s.Losses.Limit))
	}
	if s.Excess != nil {
		e.u8(byte(s.Excess.Quota))
		e.uvarint(s.Excess.Figure)
		e.uvarint(s.Excess.Limit)
	}
	if s.RetryMillis != 0 {
		e.u32(s.RetryMillis)
	}
}

func (c *Counts) encode(e *encoder) {
	e.uvarint(uint64(c.Upserted))
	e.uvarint(uint64(c.Deleted))
	e.uvarint(uint64(c.Skipped))
}

// DecodeResult reads what Encode wrote. Its errors match ErrUnknownFormat or
// ErrCorrupt.
func DecodeResult(b []byte) (*Result, error) {
	d := decoder{b: b}
	outcome, err := decodeOutcome(&d)
	if err != nil {
		return nil, err
	}
	r := &Result{Outcome: outcome}
	flags := d.u8("flags")
	r.Index = d.u64("index")
	const ofSync = resultFlagLosses | resultFlagSkipped | resultFlagExcess | resultFlagRetry
	if flags&^(resultFlagCreated|resultFlagSync|ofSync) != 0 || flags&ofSync != 0 && flags&resultFlagSync == 0 {
		d.fail("flags %#x", flags)
	}
	r.Created = flags&resultFlagCreated != 0
	if flags&resultFlagSync != 0 {
		r.Sync = decodeSyncResult(&d)
		r.Sync.CheckpointSkipped = flags&resultFlagSkipped != 0
	}
	if flags&resultFlagLosses != 0 && r.Sync != nil {
		r.Sync.Losses = &Losses{
			Live: d.uvarint("live", math.MaxUint64), Removed: d.uvarint("removed", math.MaxUint64),
			Limit: uint32(d.uvarint("guard", AllDeleted)),
		}
	}
	if flags&resultFlagExcess != 0 && r.Sync != nil {
		r.Sync.Excess = &Excess{
			Quota: Quota(d.u8("quota")), Figure: d.uvarint("figure", math.MaxUint64), Limit: d.uvarint("quota's limit", math.MaxUint64),
		}
		if r.Sync.Excess.Quota.String() == "" {
			d.fail("quota %d", r.Sync.Excess.Quota)
		}
	}
	if flags&resultFlagRetry != 0 && r.Sync != nil {
		if r.Sync.RetryMillis = d.u32("time to wait"); r.Sync.RetryMillis == 0 {
			d.fail("no time to wait")
		}
	}
	if err := d.done(); err != nil {
		return nil, fmt.Errorf("decode result: %w", err)
	}
	return r, nil
}

// DecodeOutcome reads the outcome alone. Its errors match ErrUnknownFormat or
// ErrCorrupt.
func DecodeOutcome(b []byte) (Outcome, error) { return decodeOutcome(&decoder{b: b}) }

func decodeOutcome(d *decoder) (Outcome, error) {
	if kind := d.u8("kind"); d.err == nil && kind != formatResult {
		d.fail("kind %#x is no result", kind)
	}
	if version := d.u8("version"); d.err == nil && version != resultVersion {
		return 0, fmt.Errorf("decode result: version %d: %w", version, ErrUnknownFormat)
	}
	o := Outcome(d.u8("outcome"))
	if d.err != nil {
		return 0, fmt.Errorf("decode result: %w", d.err)
	}
	if !o.known() {
		return 0, fmt.Errorf("decode result: outcome %d: %w", o, ErrUnknownFormat)
	}
	return o, nil
}

func decodeSyncResult(d *decoder) *SyncResult {
	s := &SyncResult{SyncID: d.text("sync id", MaxNameBytes)}
	s.Counts = decodeCounts(d)
	s.Details.Created = d.uvarint("created", math.MaxUint64)
	s.Details.Updated = d.uvarint("updated", math.MaxUint64)
	s.Details.Unchanged = d.uvarint("unchanged", math.MaxUint64)
	s.Details.Removed = d.uvarint("removed", math.MaxUint64)
	s.Window.Limit = d.u32("limit")
	s.Window.Remaining = d.u32("remaining")
	s.Window.ResetMillis = d.u32("reset")
	s.Window.WindowMillis = d.u32("window")
	n := int(d.uvarint("namespace count", MaxOperations))
	if n*resultNamespaceMin > len(d.b) {
		d.fail("%d namespaces in %d bytes", n, len(d.b))
	}
	if d.err != nil || n == 0 {
		return s
	}
	s.ByNamespace = make([]NamespaceCounts, n)
	for i := range s.ByNamespace {
		s.ByNamespace[i].Namespace = d.text("namespace", MaxNameBytes)
		s.ByNamespace[i].Counts = decodeCounts(d)
	}
	return s
}

func decodeCounts(d *decoder) Counts {
	return Counts{
		Upserted: d.uvarint32("upserted"),
		Deleted:  d.uvarint32("deleted"),
		Skipped:  d.uvarint32("skipped"),
	}
}
