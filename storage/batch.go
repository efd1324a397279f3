package storage

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// Batch gathers writes that take effect together, in the order in which they
// were added: of two writes to a row the later one holds. Nothing can be seen
// before Commit. A Batch belongs to one goroutine; it copies what it is given.
type Batch struct {
	db     *DB
	pebble *pebble.Batch    // of all that is not in parts; at Commit of all
	parts  [3]*pebble.Batch // see part; after Commit they are joined, but for their memory
	key    []byte           // of the row being added; used again for the next
	end    []byte           // of the range being dropped; likewise
	w      writer
	chain  chain
	ended  bool // by SetSystem
}

// NewBatch gives an empty batch, to be closed when done with, committed or not.
func (db *DB) NewBatch() *Batch {
	b := &Batch{db: db, pebble: newBatch(db.pebble)}
	b.chain.digest.Reset()
	return b
}

func newBatch(db *pebble.DB) *pebble.Batch {
	return db.NewBatch(pebble.WithMaxRetainedSizeBytes(batchRetainedBytes))
}

// part is the batch for a row, or for a range of such rows. Records come by id, and each
// has a row of several kinds: Pebble adds to a memtable several times as fast what comes
// in the order of keys, so rows of such a kind are gathered apart.
func (b *Batch) part(k kind) *pebble.Batch {
	i := 0
	switch k {
	case kindFingerprint:
	case kindContent:
		i = 1
	case kindChange:
		i = 2
	default:
		return b.pebble
	}
	if b.parts[i] == nil {
		b.parts[i] = newBatch(b.db.pebble)
	}
	return b.parts[i]
}

// Close frees the batch; one that wasn't committed leaves no trace.
func (b *Batch) Close() error {
	errs := []error{b.pebble.Close()}
	for _, part := range b.parts {
		if part != nil {
			errs = append(errs, part.Close())
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close storage batch: %w", err)
	}
	return nil
}

// Bytes is the size of the batch so far.
func (b *Batch) Bytes() int {
	size := b.pebble.Len()
	for _, part := range b.parts {
		if part != nil {
			size += part.Len()
		}
	}
	return size
}

// put adds the row at b.key, encoding it straight into Pebble's memory. The
// first pass over its fields counts, the second writes.
func put[R interface{ encode(*writer) }](b *Batch, row R) {
	b.w = writer{}
	row.encode(&b.w)
	op := b.part(kind(b.key[0])).SetDeferred(len(b.key), b.w.n)
	copy(op.Key, b.key)
	b.w = writer{buf: op.Value}
	row.encode(&b.w)
	b.finish(chainPut, op)
}

func (b *Batch) finish(kind chainOp, op *pebble.DeferredBatchOp) {
	if b.ended {
		panic("add to storage batch: it has ended with the system row")
	}
	b.chain.add(kind, op.Key, op.Value)
	b.w = writer{}
	if err := op.Finish(); err != nil {
		// Only a batch with an index, which this isn't, has anything to do here.
		panic(fmt.Errorf("add to storage batch: %w", err))
	}
}

func (b *Batch) delete() {
	op := b.part(kind(b.key[0])).DeleteDeferred(len(b.key))
	copy(op.Key, b.key)
	b.finish(chainDelete, op)
}

// SetSystem says what the batch brings the state up to. Every batch ends with it.
// It moves s.Chain on: by all that the batch has been given, in its order, and by
// s as it comes.
func (b *Batch) SetSystem(s *System) {
	b.key = appendSystemKey(b.key[:0])
	b.chain.add(chainPut, b.key, encodeRow(*s))
	s.Chain = b.chain.digest.Sum64()
	put(b, *s)
	b.ended = true
}

func (b *Batch) PutMarks(m Marks) {
	b.key = appendMarksKey(b.key[:0])
	put(b, m)
}

func (b *Batch) PutSettings(s Settings) {
	b.key = appendSettingsKey(b.key[:0])
	put(b, s)
}

func (b *Batch) PutCARotation(c CARotation) {
	b.key = appendCARotationKey(b.key[:0])
	put(b, c)
}

func (b *Batch) DeleteCARotation() {
	b.key = appendCARotationKey(b.key[:0])
	b.delete()
}

func (b *Batch) PutOrg(name string, o Org) {
	b.key = appendOrgKey(b.key[:0], name)
	put(b, o)
}

func (b *Batch) PutKey(id string, k Key) {
	b.key = appendKeyKey(b.key[:0], id)
	put(b, k)
}

func (b *Batch) PutJoinToken(id string, t JoinToken) {
	b.key = appendJoinTokenKey(b.key[:0], id)
	put(b, t)
}

func (b *Batch) DeleteJoinToken(id string) {
	b.key = appendJoinTokenKey(b.key[:0], id)
	b.delete()
}

func (b *Batch) PutAdminTokenChange(c AdminTokenChange) {
	b.key = appendAdminTokenKey(b.key[:0])
	put(b, c)
}

func (b *Batch) DeleteAdminTokenChange() {
	b.key = appendAdminTokenKey(b.key[:0])
	b.delete()
}

func (b *Batch) PutGossipRing(g GossipRing) {
	b.key = appendGossipRingKey(b.key[:0])
	put(b, g)
}

func (b *Batch) DeleteGossipRing() {
	b.key = appendGossipRingKey(b.key[:0])
	b.delete()
}

// PutOrgKey lists the key with this id among those of its organization.
func (b *Batch) PutOrgKey(org OrgNum, id string) {
	b.key = appendOrgKeyKey(b.key[:0], org, id)
	put(b, empty{})
}

func (b *Batch) PutStore(org OrgNum, name string, s Store) {
	b.key = appendStoreKey(b.key[:0], org, name)
	put(b, s)
}

// DropOrg removes an organization and what is its own, and notes that there may be
// stores and keys left of it.
func (b *Batch) DropOrg(name string, org OrgNum) {
	b.key = appendOrgKey(b.key[:0], name)
	b.delete()
	for _, k := range orgKinds {
		b.key = binary.BigEndian.AppendUint32(append(b.key[:0], byte(k)), uint32(org))
		b.dropPrefix()
	}
	b.key = appendDeletedOrgKey(b.key[:0], org)
	put(b, empty{})
}

// EndDeletedOrg notes that nothing is left of a deleted organization.
func (b *Batch) EndDeletedOrg(org OrgNum) {
	b.key = appendDeletedOrgKey(b.key[:0], org)
	b.delete()
}

func (b *Batch) DeleteKey(id string) {
	b.key = appendKeyKey(b.key[:0], id)
	b.delete()
}

func (b *Batch) DeleteOrgKey(org OrgNum, id string) {
	b.key = appendOrgKeyKey(b.key[:0], org, id)
	b.delete()
}

// DropStore removes a store and all that is in it, at a cost that doesn't depend on
// how much that is. Of its organization's rows only its own is touched.
func (b *Batch) DropStore(org OrgNum, name string, store StoreNum) {
	b.key = appendStoreKey(b.key[:0], org, name)
	b.delete()
	for _, k := range storeKinds {
		b.key = binary.BigEndian.AppendUint32(append(b.key[:0], byte(k)), uint32(store))
		b.dropPrefix()
	}
	b.key = appendUsageKey(b.key[:0], org, store)
	b.delete()
}

func (b *Batch) PutNamespace(store StoreNum, name string, n Namespace) {
	b.key = appendNamespaceKey(b.key[:0], store, name)
	put(b, n)
}

// PutNamespaceName says which namespace of the store has the number.
func (b *Batch) PutNamespaceName(store StoreNum, ns NamespaceNum, name string) {
	b.key = appendNamespaceNameKey(b.key[:0], store, ns)
	put(b, namespaceName(name))
}

// PutUsage records what a store has, or its organization with the store 0, or the
// cluster with both 0.
func (b *Batch) PutUsage(org OrgNum, store StoreNum, u Usage) {
	b.key = appendUsageKey(b.key[:0], org, store)
	put(b, u)
}

func (b *Batch) PutWindowHead(org OrgNum, h WindowHead) {
	b.key = appendWindowHeadKey(b.key[:0], org)
	put(b, h)
}

// PutWindowSlot records the organization's seq-th admitted sync.
func (b *Batch) PutWindowSlot(org OrgNum, seq uint64, slot WindowSlot) {
	b.key = appendWindowSlotKey(b.key[:0], org, seq)
	put(b, slot)
}

func (b *Batch) DeleteWindowSlot(org OrgNum, seq uint64) {
	b.key = appendWindowSlotKey(b.key[:0], org, seq)
	b.delete()
}

// PutHistory records what the organization's sync in the entry at index did.
func (b *Batch) PutHistory(org OrgNum, index uint64, h History) {
	b.key = appendHistoryKey(b.key[:0], org, index)
	put(b, h)
}

func (b *Batch) DeleteHistory(org OrgNum, index uint64) {
	b.key = appendHistoryKey(b.key[:0], org, index)
	b.delete()
}

func (b *Batch) PutHistoryHead(org OrgNum, h HistoryHead) {
	b.key = appendHistoryHeadKey(b.key[:0], org)
	put(b, h)
}

// PutSyncID records that the organization's sync with this id is the one in the
// entry at index.
func (b *Batch) PutSyncID(org OrgNum, id string, index uint64) {
	b.key = appendSyncIDKey(b.key[:0], org, id)
	put(b, syncIndex(index))
}

func (b *Batch) DeleteSyncID(org OrgNum, id string) {
	b.key = appendSyncIDKey(b.key[:0], org, id)
	b.delete()
}

func (b *Batch) PutPipelineCheckpoint(org OrgNum, pipeline string, c PipelineCheckpoint) {
	b.key = appendCheckpointKey(b.key[:0], org, pipeline)
	put(b, c)
}

func (b *Batch) DeletePipelineCheckpoint(org OrgNum, pipeline string) {
	b.key = appendCheckpointKey(b.key[:0], org, pipeline)
	b.delete()
}

func (b *Batch) PutIdempotency(org OrgNum, key KeyHash, i Idempotency) {
	b.key = appendIdempotencyKey(b.key[:0], org, key)
	put(b, i)
}

func (b *Batch) DeleteIdempotency(org OrgNum, key KeyHash) {
	b.key = appendIdempotencyKey(b.key[:0], org, key)
	b.delete()
}

func (b *Batch) PutIdempotencySlot(org OrgNum, seq uint64, s IdempotencySlot) {
	b.key = appendIdempotencySlotKey(b.key[:0], org, seq)
	put(b, s)
}

func (b *Batch) DeleteIdempotencySlot(org OrgNum, seq uint64) {
	b.key = appendIdempotencySlotKey(b.key[:0], org, seq)
	b.delete()
}

func (b *Batch) PutIdempotencyHead(org OrgNum, h SlotRange) {
	b.key = appendIdempotencyHeadKey(b.key[:0], org)
	put(b, h)
}

func (b *Batch) PutRequest(id RequestID, q Request) {
	b.key = appendRequestKey(b.key[:0], id)
	put(b, q)
}

func (b *Batch) DeleteRequest(id RequestID) {
	b.key = appendRequestKey(b.key[:0], id)
	b.delete()
}

func (b *Batch) PutRequestSlot(seq uint64, s RequestSlot) {
	b.key = appendRequestSlotKey(b.key[:0], seq)
	put(b, s)
}

func (b *Batch) DeleteRequestSlot(seq uint64) {
	b.key = appendRequestSlotKey(b.key[:0], seq)
	b.delete()
}

func (b *Batch) PutRequestHead(h SlotRange) {
	b.key = appendRequestHeadKey(b.key[:0])
	put(b, h)
}

func (b *Batch) PutFingerprint(store StoreNum, ns NamespaceNum, gen Generation, id string, f Fingerprint) {
	b.key = appendFingerprintKey(b.key[:0], store, ns, gen, id)
	put(b, f)
}

func (b *Batch) DeleteFingerprint(store StoreNum, ns NamespaceNum, gen Generation, id string) {
	b.key = appendFingerprintKey(b.key[:0], store, ns, gen, id)
	b.delete()
}

// PutChanges writes a row of changes of the Raft entry at row.Index, at least one and
// ChangesInRow at most, in the order of their offsets, none of which is beyond row.Offset.
func (b *Batch) PutChanges(store StoreNum, row Seq, list []ChangeAt) {
	b.key = appendChangeKey(b.key[:0], store, row)
	put(b, changes(list))
}

func (b *Batch) DeleteChanges(store StoreNum, row Seq) {
	b.key = appendChangeKey(b.key[:0], store, row)
	b.delete()
}

func (b *Batch) PutRetired(store StoreNum, ns NamespaceNum, gen Generation, g Retired) {
	b.key = appendRetiredKey(b.key[:0], store, ns, gen)
	put(b, g)
}

func (b *Batch) DeleteRetired(store StoreNum, ns NamespaceNum, gen Generation) {
	b.key = appendRetiredKey(b.key[:0], store, ns, gen)
	b.delete()
}

func (b *Batch) PutChangeHead(store StoreNum, h ChangeHead) {
	b.key = appendChangeHeadKey(b.key[:0], store)
	put(b, h)
}

// PutContent adds the content of the record whose fingerprint has changed then.
func (b *Batch) PutContent(store StoreNum, ns NamespaceNum, gen Generation, changed Seq, c Content) {
	b.key = appendContentKey(b.key[:0], store, ns, gen, changed)
	put(b, c)
}

func (b *Batch) DeleteContent(store StoreNum, ns NamespaceNum, gen Generation, changed Seq) {
	b.key = appendContentKey(b.key[:0], store, ns, gen, changed)
	b.delete()
}

// DropGeneration removes all fingerprint and content rows of a generation,
// those added to this batch before included, at a cost that doesn't depend on
// how many there are.
func (b *Batch) DropGeneration(store StoreNum, ns NamespaceNum, gen Generation) {
	b.DropFingerprints(store, ns, gen, "")
	b.DropContents(store, ns, gen)
}

// DropFingerprints removes those of the ids up to one, that included; "" is
// behind all.
func (b *Batch) DropFingerprints(store StoreNum, ns NamespaceNum, gen Generation, until string) {
	b.key = appendGenerationKey(b.key[:0], kindFingerprint, store, ns, gen)
	if until == "" {
		b.dropPrefix()
		return
	}
	b.end = append(append(append(b.end[:0], b.key...), until...), 0)
	b.dropRange()
}

func (b *Batch) DropContents(store StoreNum, ns NamespaceNum, gen Generation) {
	b.key = appendGenerationKey(b.key[:0], kindContent, store, ns, gen)
	b.dropPrefix()
}

// dropPrefix removes the rows whose keys begin with b.key.
func (b *Batch) dropPrefix() {
	b.end = appendPrefixEnd(b.end[:0], b.key)
	b.dropRange()
}

// dropRange removes the rows from b.key up to, but without, b.end.
func (b *Batch) dropRange() {
	op := b.part(kind(b.key[0])).DeleteRangeDeferred(len(b.key), len(b.end))
	copy(op.Key, b.key)
	copy(op.Value, b.end)
	b.finish(chainDropRange, op)
}
