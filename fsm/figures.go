package fsm

import (
	"errors"
	"fmt"
	"math"

	"pipesync/storage"
)

// Figures are the numbers in a row that administrators set, in the order of
// their numbers: what an entry may change, how the API names it, and its range.
type Figures[Row any] []Figure[Row]

// Figure is one of them. Its Number is what entries carry: it is never reused.
type Figure[Row any] struct {
	Number   byte
	Name     string
	Min, Max uint64
	pick     func(*Row) any // *uint32 or *uint64
}

// FigureValue is what a figure is set to.
type FigureValue struct {
	Number byte
	Value  uint64
}

// SettingsFigures are those of the cluster's settings.
var SettingsFigures = Figures[storage.Settings]{
	{1, "requests_per_window", 1, MaxRequestsPerWindow, func(s *storage.Settings) any { return &s.RequestsPerWindow }},
	{2, "window_ms", 1000, 60 * 60 * 1000, func(s *storage.Settings) any { return &s.WindowMillis }},
	{3, "tombstone_retention_seconds", 0, maxRetentionSeconds, func(s *storage.Settings) any { return &s.TombstoneRetentionSeconds }},
	{4, "idempotency_retention_seconds", 0, maxRetentionSeconds, func(s *storage.Settings) any { return &s.IdempotencyRetentionSeconds }},
	{5, "idempotency_keys_max", 0, 10_000_000, func(s *storage.Settings) any { return &s.IdempotencyKeysMax }},
	{6, "history_retention_seconds", 0, maxRetentionSeconds, func(s *storage.Settings) any { return &s.HistoryRetentionSeconds }},
	{7, "history_syncs_max", 1, 10_000_000, func(s *storage.Settings) any { return &s.HistorySyncsMax }},
	{8, "bytes_per_window", 0, maxQuota, func(s *storage.Settings) any { return &s.BytesPerWindow }},
	{9, "records_max", 0, maxQuota, func(s *storage.Settings) any { return &s.RecordsMax }},
	{10, "bytes_max", 0, maxQuota, func(s *storage.Settings) any { return &s.BytesMax }},
	{11, "tombstones_max", 0, maxQuota, func(s *storage.Settings) any { return &s.TombstonesMax }},
	{12, "namespaces_max", 0, maxQuota, func(s *storage.Settings) any { return &s.NamespacesMax }},
	{13, "store_namespaces_max", 0, maxQuota, func(s *storage.Settings) any { return &s.StoreNamespacesMax }},
	{14, "dead_member_removal_seconds", 0, maxRetentionSeconds, func(s *storage.Settings) any { return &s.DeadMemberRemovalSeconds }},
	{15, "min_voters", 0, math.MaxUint8, func(s *storage.Settings) any { return &s.MinVoters }},
}

// LimitsFigures are those of an organization's limits. 0 is what the settings say.
var LimitsFigures = Figures[storage.Limits]{
	{1, "requests_per_window", 0, MaxRequestsPerWindow, func(l *storage.Limits) any { return &l.RequestsPerWindow }},
	{2, "bytes_per_window", 0, maxQuota, func(l *storage.Limits) any { return &l.BytesPerWindow }},
	{3, "records_max", 0, maxQuota, func(l *storage.Limits) any { return &l.RecordsMax }},
	{4, "bytes_max", 0, maxQuota, func(l *storage.Limits) any { return &l.BytesMax }},
	{5, "tombstones_max", 0, maxQuota, func(l *storage.Limits) any { return &l.TombstonesMax }},
	{6, "namespaces_max", 0, maxQuota, func(l *storage.Limits) any { return &l.NamespacesMax }},
}

const (
	// MaxRequestsPerWindow bounds the slots that a rate window is made of.
	MaxRequestsPerWindow = 10_000
	maxQuota             = 1_000_000_000_000_000 // every reader of JSON reads it exactly
	maxRetentionSeconds  = 10 * 366 * 24 * 60 * 60
)

// Named is the figure with that name in the API.
func (fs Figures[Row]) Named(name string) (Figure[Row], bool) {
	for _, f := range fs {
		if f.Name == name {
			return f, true
		}
	}
	return Figure[Row]{}, false
}

func (fs Figures[Row]) numbered(number byte) (Figure[Row], bool) {
	for _, f := range fs {
		if f.Number == number {
			return f, true
		}
	}
	return Figure[Row]{}, false
}

// Of is the figure's value in row.
func (f Figure[Row]) Of(row Row) uint64 {
	switch p := f.pick(&row).(type) {
	case *uint32:
		return uint64(*p)
	case *uint64:
		return *p
	}
	panic("figure " + f.Name + " is no number")
}

func (f Figure[Row]) set(row *Row, value uint64) {
	switch p := f.pick(row).(type) {
	case *uint32:
		*p = uint32(value)
	case *uint64:
		*p = value
	}
}

// Check says what is wrong with a value, in words that go on after the name.
func (f Figure[Row]) Check(value uint64) error {
	if value < f.Min || value > f.Max {
		return fmt.Errorf("must be a whole number from %d to %d", f.Min, f.Max)
	}
	return nil
}

// change sets the figures in row; check has admitted them.
func (fs Figures[Row]) change(row *Row, values []FigureValue) {
	for _, s := range values {
		if f, ok := fs.numbered(s.Number); ok {
			f.set(row, s.Value)
		}
	}
}

// check admits one or more figures in the order of their numbers, each once
// and in its range.
func (fs Figures[Row]) check(values []FigureValue) error {
	if len(values) == 0 {
		return errors.New("no figure is set")
	}
	for i, s := range values {
		f, ok := fs.numbered(s.Number)
		if !ok {
			return fmt.Errorf("figure %d: %w", s.Number, ErrUnknownFormat)
		}
		if i > 0 && s.Number <= values[i-1].Number {
			return fmt.Errorf("%s is out of order", f.Name)
		}
		if err := f.Check(s.Value); err != nil {
			return fmt.Errorf("%s is %d: it %w", f.Name, s.Value, err)
		}
	}
	return nil
}

// all are the values of a row.
func (fs Figures[Row]) all(row Row) []FigureValue {
	values := make([]FigureValue, len(fs))
	for i, f := range fs {
		values[i] = FigureValue{f.Number, f.Of(row)}
	}
	return values
}

// figures appends a count and as many pairs of number and value.
func (e *encoder) figures(values []FigureValue) {
	e.u8(byte(len(values)))
	for _, s := range values {
		e.u8(s.Number)
		e.uvarint(s.Value)
	}
}

// decode reads what check admits.
func (fs Figures[Row]) decode(d *decoder) []FigureValue {
	n := int(d.u8("figures"))
	if d.err != nil || n > len(d.b) {
		d.fail("%d figures in %d bytes", n, len(d.b))
		return nil
	}
	values := make([]FigureValue, n)
	for i := range values {
		values[i] = FigureValue{d.u8("figure"), d.uvarint("value", math.MaxUint64)}
	}
	if d.err != nil {
		return nil
	}
	if err := fs.check(values); errors.Is(err, ErrUnknownFormat) {
		d.err = err
	} else if err != nil {
		d.fail("%v", err)
	}
	return values
}
