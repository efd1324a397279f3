package storage

import (
	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
)

// tableFilter is of the keys of a table, but for those of changes: these are read in
// order alone, and are a third of the rows of a load.
type tableFilter struct{ bloom.FilterPolicy }

func (f tableFilter) MayContain(t pebble.FilterType, filter, key []byte) bool {
	return kind(key[0]) == kindChange || f.FilterPolicy.MayContain(t, filter, key)
}

func (f tableFilter) NewWriter(t pebble.FilterType) pebble.FilterWriter {
	return tableFilterWriter{f.FilterPolicy.NewWriter(t)}
}

type tableFilterWriter struct{ pebble.FilterWriter }

func (w tableFilterWriter) AddKey(key []byte) {
	if kind(key[0]) != kindChange {
		w.FilterWriter.AddKey(key)
	}
}
