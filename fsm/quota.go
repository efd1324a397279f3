package fsm

import "pipesync/storage"

// Quota says how much of what an organization may have. Numbers are never reused.
type Quota byte

const (
	QuotaRecords         Quota = 1
	QuotaBytes           Quota = 2
	QuotaTombstones      Quota = 3
	QuotaNamespaces      Quota = 4
	QuotaStoreNamespaces Quota = 5 // in one vector store
	QuotaCheckpoints     Quota = 6
	QuotaBytesPerWindow  Quota = 7 // of one sync
)

var quotaNames = map[Quota]string{
	QuotaRecords:         "records_max",
	QuotaBytes:           "bytes_max",
	QuotaTombstones:      "tombstones_max",
	QuotaNamespaces:      "namespaces_max",
	QuotaStoreNamespaces: "store_namespaces_max",
	QuotaCheckpoints:     "checkpoints",
	QuotaBytesPerWindow:  "bytes_per_window",
}

// String is the name of the quota: that of the limit or setting, where it is one.
func (q Quota) String() string { return quotaNames[q] }

// Excess is the quota that a sync would have exceeded.
type Excess struct {
	Quota  Quota
	Figure uint64 // what there would be
	Limit  uint64
}

// quotas decide about what there is before a sync and what there would be after it.
// A sync that doesn't make it more is never refused: who is over a quota, which may
// have been lowered, can go on to delete, to shrink and to update.
type quotas struct {
	limits          storage.Limits
	storeNamespaces uint64
}

// namespaces decides about a sync that makes so many namespaces.
func (q *quotas) namespaces(had *usageRows, made uint64) *Excess {
	if e := exceeds(QuotaNamespaces, q.limits.NamespacesMax, had.inOrg.Namespaces, had.inOrg.Namespaces+made); e != nil {
		return e
	}
	return exceeds(QuotaStoreNamespaces, q.storeNamespaces, had.inStore.Namespaces, had.inStore.Namespaces+made)
}

// rows decides about the records and tombstones of an organization. What is over
// the quota of tombstones can't be helped by refusing deletions: a record has to
// make way. So it is those syncs that are refused that leave more rows of both
// kinds than they find, whichever of the two they add.
func (q *quotas) rows(had, has storage.Usage) *Excess {
	if e := exceeds(QuotaRecords, q.limits.RecordsMax, had.Records, has.Records); e != nil {
		return e
	}
	if e := exceeds(QuotaBytes, q.limits.BytesMax, had.Bytes, has.Bytes); e != nil {
		return e
	}
	if has.Records+has.Tombstones <= had.Records+had.Tombstones {
		return nil
	}
	return exceeds(QuotaTombstones, q.limits.TombstonesMax, 0, has.Tombstones)
}

// exceeds returns nil where there is no limit, or it is kept, or there isn't more
// than there was.
func exceeds(q Quota, limit, had, has uint64) *Excess {
	if limit == 0 || has <= limit || has <= had {
		return nil
	}
	return &Excess{Quota: q, Figure: has, Limit: limit}
}
