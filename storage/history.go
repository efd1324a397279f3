package storage

import (
	"encoding/binary"

	"github.com/cockroachdb/pebble/v2"
)

func (rs rows) ScanHistory(org OrgNum, from uint64, limit int, visit func(index uint64, h History) error) error {
	prefix := appendHistoryKey(nil, org, 0)
	prefix = prefix[:len(prefix)-8]
	return rs.scanHistory(appendHistoryKey(nil, org, from), appendPrefixEnd(nil, prefix), (*pebble.Iterator).First, (*pebble.Iterator).Next, limit, visit)
}

func (rs rows) ScanHistoryBack(org OrgNum, before uint64, limit int, visit func(index uint64, h History) error) error {
	return rs.scanHistory(appendHistoryKey(nil, org, 0), appendHistoryKey(nil, org, before), (*pebble.Iterator).Last, (*pebble.Iterator).Prev, limit, visit)
}

func (rs rows) scanHistory(lower, end []byte, first, next func(*pebble.Iterator) bool, limit int,
	visit func(index uint64, h History) error,
) (err error) {
	it, err := rs.src.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: end})
	if err != nil {
		return readError(lower, err)
	}
	defer closeIter(it, lower, &err)
	for ok := first(it); ok && limit > 0; ok, limit = next(it), limit-1 {
		value, err := it.ValueAndErr()
		if err != nil {
			return readError(it.Key(), err)
		}
		var h History
		if err := decodeRow(it.Key(), value, &h); err != nil {
			return err
		}
		key := it.Key()
		if err := visit(binary.BigEndian.Uint64(key[len(key)-8:]), h); err != nil {
			return err
		}
	}
	return nil
}
