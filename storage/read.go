package storage

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// Reader is what DB and Snapshot have in common. A DB reads what is committed
// at the time of each call; a Snapshot always the same state. An absent row is
// false, or a zero row where that is said. What is returned, or given to a
// visit function, belongs to the caller. Errors mean that the disk failed or,
// where errors.Is(err, ErrCorrupt), that rows can't be read.
type Reader interface {
	// System is zero on an empty database.
	System() (System, error)
	Settings() (Settings, bool, error)
	// Marks are none before the first.
	Marks() (Marks, error)
	// CARotation is zero before the first.
	CARotation() (CARotation, error)
	Org(name string) (Org, bool, error)
	Key(id string) (Key, bool, error)
	JoinToken(id string) (JoinToken, bool, error)
	// AdminTokenChange is zero before the first.
	AdminTokenChange() (AdminTokenChange, error)
	// GossipRing is zero before the first key.
	GossipRing() (GossipRing, error)
	Store(org OrgNum, name string) (Store, bool, error)
	Namespace(store StoreNum, name string) (Namespace, bool, error)

	// NamespaceName is the name of the store's namespace with the number.
	NamespaceName(store StoreNum, ns NamespaceNum) (string, bool, error)
	// Usage is what a store has, or its organization with the store 0, or the
	// cluster with both 0. It is zero where there never was anything.
	Usage(org OrgNum, store StoreNum) (Usage, error)

	// WindowHead is zero for an organization that never synced.
	WindowHead(org OrgNum) (WindowHead, error)
	// WindowSlot is the organization's seq-th admitted sync.
	WindowSlot(org OrgNum, seq uint64) (WindowSlot, bool, error)

	// History is what the organization's sync in the entry at index did.
	History(org OrgNum, index uint64) (History, bool, error)
	// HistoryHead is zero for an organization without history.
	HistoryHead(org OrgNum) (HistoryHead, error)
	// SyncIndex is the index of the organization's sync with this id.
	SyncIndex(org OrgNum, id string) (uint64, bool, error)
	// ScanHistory visits at most limit rows from index on in their order,
	// ScanHistoryBack those before an index in the opposite one. An error of
	// visit stops them and is returned.
	ScanHistory(org OrgNum, from uint64, limit int, visit func(index uint64, h History) error) error
	ScanHistoryBack(org OrgNum, before uint64, limit int, visit func(index uint64, h History) error) error
	PipelineCheckpoint(org OrgNum, pipeline string) (PipelineCheckpoint, bool, error)
	Idempotency(org OrgNum, key KeyHash) (Idempotency, bool, error)
	IdempotencySlot(org OrgNum, seq uint64) (IdempotencySlot, bool, error)
	// IdempotencyHead is zero for an organization that never sent a key.
	IdempotencyHead(org OrgNum) (SlotRange, error)

	Request(id RequestID) (Request, bool, error)
	RequestSlot(seq uint64) (RequestSlot, bool, error)
	// RequestHead is zero before the first request.
	RequestHead() (SlotRange, error)

	// Fingerprints visits the fingerprint of each of the ids, which must be
	// ascending and distinct, in their order; found is false for one without a
	// row. An error of visit stops it and is returned.
	Fingerprints(store StoreNum, ns NamespaceNum, gen Generation, ids []string,
		visit func(i int, f Fingerprint, found bool) error) error
	// Record is a live record.
	Record(store StoreNum, ns NamespaceNum, gen Generation, id string) (Fingerprint, Content, bool, error)

	// ContentSizes visits each of the seqs, which must ascend, that a content of the
	// generation belongs to, with the bytes of its fields.
	ContentSizes(store StoreNum, ns NamespaceNum, gen Generation, seqs []Seq,
		visit func(changed Seq, bytes uint64)) error

	// The scans visit at most limit rows in ascending order of the bytes of
	// their name or id, beginning strictly after `after` ("" is before all).
	// An error of visit stops them and is returned.
	ScanOrgs(after string, limit int, visit func(name string, o Org) error) error
	ScanKeys(after string, limit int, visit func(id string, k Key) error) error
	ScanJoinTokens(after string, limit int, visit func(id string, t JoinToken) error) error
	// OrgKey says whether the key with this id is one of the organization's.
	OrgKey(org OrgNum, id string) (bool, error)
	// OrgDeleted says whether there may be stores and keys left of an organization
	// that was deleted; ScanDeletedOrgs visits at most limit of those.
	OrgDeleted(org OrgNum) (bool, error)
	ScanDeletedOrgs(limit int, visit func(org OrgNum) error) error
	// ScanOrgKeys visits the ids of an organization's keys.
	ScanOrgKeys(org OrgNum, after string, limit int, visit func(id string) error) error
	ScanStores(org OrgNum, after string, limit int, visit func(name string, s Store) error) error
	ScanNamespaces(store StoreNum, after string, limit int, visit func(name string, n Namespace) error) error
	// ScanFingerprints visits all fingerprints of a generation, tombstones too.
	ScanFingerprints(store StoreNum, ns NamespaceNum, gen Generation, after string, limit int,
		visit func(id string, f Fingerprint) error) error
	Retired(store StoreNum, ns NamespaceNum, gen Generation) (Retired, bool, error)
	// ScanRetired visits at most limit retired generations in the order of their
	// numbers: of one namespace, of a store where ns is 0, or of all where store
	// is 0 too.
	ScanRetired(store StoreNum, ns NamespaceNum, limit int,
		visit func(store StoreNum, ns NamespaceNum, gen Generation) error) error
	// ChangeHead is zero where there is no such store.
	ChangeHead(store StoreNum) (ChangeHead, error)
	// ScanChanges visits at most limit changes of a store in the order of their seqs,
	// beginning strictly after `after`, those included that hold no longer.
	ScanChanges(store StoreNum, after Seq, limit int, visit func(seq Seq, c Change) error) error
	// ScanChangeRows visits the rows, of ChangesInRow changes at most, that have all
	// which are strictly after `after`, and maybe some before.
	ScanChangeRows(store StoreNum, after Seq, visit func(row Seq, list []ChangeAt) error) error
	// ScanRecords visits live records.
	ScanRecords(store StoreNum, ns NamespaceNum, gen Generation, after string, limit int,
		visit func(id string, f Fingerprint, c Content) error) error
}

var (
	_ Reader = (*DB)(nil)
	_ Reader = (*Snapshot)(nil)
)

// rows implements Reader over a Pebble database or snapshot.
type rows struct {
	src     pebble.Reader
	cache   *rowCache
	version uint64 // that src sees
}

// decodable is a pointer to a row.
type decodable[T any] interface {
	*T
	decode(*reader)
}

// decodeRow decodes the value of the row at key.
func decodeRow[T any, P decodable[T]](key, value []byte, row P) error {
	return decodeWith(&reader{}, key, value, row)
}

// decodeWith is decodeRow with the caller's reader.
func decodeWith[T any, P decodable[T]](r *reader, key, value []byte, row P) error {
	*r = reader{b: value, what: "value"}
	row.decode(r)
	if err := r.done(); err != nil {
		return readError(key, err)
	}
	return nil
}

func readError(key []byte, err error) error {
	name := "row"
	if k, keyErr := parseKey(key); keyErr == nil {
		name = k.String()
	}
	return fmt.Errorf("read %s: %w", name, corruption(err))
}

func get[T any, P decodable[T]](rs rows, key []byte) (row T, found bool, err error) {
	if !isCached[key[0]] {
		return read[T, P](rs, key, func([]byte) {})
	}
	value, known, ticket := rs.cache.get(key, rs.version)
	if !known {
		return read[T, P](rs, key, func(value []byte) { rs.cache.put(key, bytes.Clone(value), ticket) })
	}
	if value == nil {
		return row, false, nil
	}
	if err := decodeRow[T, P](key, value, &row); err != nil {
		var zero T
		return zero, false, err
	}
	return row, true, nil
}

// read reads a row from the database. It gives its value to keep, or nil where there is
// none, which is valid during the call alone.
func read[T any, P decodable[T]](rs rows, key []byte, keep func(value []byte)) (row T, found bool, err error) {
	value, closer, err := rs.src.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		keep(nil)
		return row, false, nil
	}
	if err != nil {
		return row, false, readError(key, err)
	}
	if err = decodeRow[T, P](key, value, &row); err == nil {
		keep(value)
	}
	if err := errors.Join(err, closer.Close()); err != nil {
		var zero T
		return zero, false, err
	}
	return row, true, nil
}

func (rs rows) System() (System, error) {
	s, _, err := get[System](rs, appendSystemKey(nil))
	return s, err
}

func (rs rows) Settings() (Settings, bool, error) {
	return get[Settings](rs, appendSettingsKey(nil))
}

func (rs rows) Marks() (Marks, error) {
	m, _, err := get[Marks](rs, appendMarksKey(nil))
	return m, err
}

func (rs rows) CARotation() (CARotation, error) {
	c, _, err := get[CARotation](rs, appendCARotationKey(nil))
	return c, err
}

func (rs rows) Org(name string) (Org, bool, error) {
	return get[Org](rs, appendOrgKey(nil, name))
}

func (rs rows) Key(id string) (Key, bool, error) {
	return get[Key](rs, appendKeyKey(nil, id))
}

func (rs rows) JoinToken(id string) (JoinToken, bool, error) {
	return get[JoinToken](rs, appendJoinTokenKey(nil, id))
}

func (rs rows) AdminTokenChange() (AdminTokenChange, error) {
	c, _, err := get[AdminTokenChange](rs, appendAdminTokenKey(nil))
	return c, err
}

func (rs rows) GossipRing() (GossipRing, error) {
	g, _, err := get[GossipRing](rs, appendGossipRingKey(nil))
	return g, err
}

func (rs rows) OrgKey(org OrgNum, id string) (bool, error) {
	_, found, err := get[empty](rs, appendOrgKeyKey(nil, org, id))
	return found, err
}

func (rs rows) OrgDeleted(org OrgNum) (bool, error) {
	_, found, err := get[empty](rs, appendDeletedOrgKey(nil, org))
	return found, err
}

func (rs rows) Store(org OrgNum, name string) (Store, bool, error) {
	return get[Store](rs, appendStoreKey(nil, org, name))
}

func (rs rows) Namespace(store StoreNum, name string) (Namespace, bool, error) {
	return get[Namespace](rs, appendNamespaceKey(nil, store, name))
}

func (rs rows) NamespaceName(store StoreNum, ns NamespaceNum) (string, bool, error) {
	n, found, err := get[namespaceName](rs, appendNamespaceNameKey(nil, store, ns))
	return string(n), found, err
}

func (rs rows) Retired(store StoreNum, ns NamespaceNum, gen Generation) (Retired, bool, error) {
	return get[Retired](rs, appendRetiredKey(nil, store, ns, gen))
}

func (rs rows) ChangeHead(store StoreNum) (ChangeHead, error) {
	h, _, err := get[ChangeHead](rs, appendChangeHeadKey(nil, store))
	return h, err
}

func (rs rows) Usage(org OrgNum, store StoreNum) (Usage, error) {
	u, _, err := get[Usage](rs, appendUsageKey(nil, org, store))
	return u, err
}

func (rs rows) WindowHead(org OrgNum) (WindowHead, error) {
	h, _, err := get[WindowHead](rs, appendWindowHeadKey(nil, org))
	return h, err
}

func (rs rows) WindowSlot(org OrgNum, seq uint64) (WindowSlot, bool, error) {
	return get[WindowSlot](rs, appendWindowSlotKey(nil, org, seq))
}

func (rs rows) History(org OrgNum, index uint64) (History, bool, error) {
	return get[History](rs, appendHistoryKey(nil, org, index))
}

func (rs rows) HistoryHead(org OrgNum) (HistoryHead, error) {
	h, _, err := get[HistoryHead](rs, appendHistoryHeadKey(nil, org))
	return h, err
}

func (rs rows) SyncIndex(org OrgNum, id string) (uint64, bool, error) {
	index, found, err := get[syncIndex](rs, appendSyncIDKey(nil, org, id))
	return uint64(index), found, err
}

func (rs rows) PipelineCheckpoint(org OrgNum, pipeline string) (PipelineCheckpoint, bool, error) {
	return get[PipelineCheckpoint](rs, appendCheckpointKey(nil, org, pipeline))
}

func (rs rows) Idempotency(org OrgNum, key KeyHash) (Idempotency, bool, error) {
	return get[Idempotency](rs, appendIdempotencyKey(nil, org, key))
}

func (rs rows) IdempotencySlot(org OrgNum, seq uint64) (IdempotencySlot, bool, error) {
	return get[IdempotencySlot](rs, appendIdempotencySlotKey(nil, org, seq))
}

func (rs rows) IdempotencyHead(org OrgNum) (SlotRange, error) {
	h, _, err := get[SlotRange](rs, appendIdempotencyHeadKey(nil, org))
	return h, err
}

func (rs rows) Request(id RequestID) (Request, bool, error) {
	return get[Request](rs, appendRequestKey(nil, id))
}

func (rs rows) RequestSlot(seq uint64) (RequestSlot, bool, error) {
	return get[RequestSlot](rs, appendRequestSlotKey(nil, seq))
}

func (rs rows) RequestHead() (SlotRange, error) {
	h, _, err := get[SlotRange](rs, appendRequestHeadKey(nil))
	return h, err
}
