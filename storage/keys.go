package storage

import (
	"encoding/binary"
	"fmt"
)

// kind is the first byte of every key. Kinds are numbered explicitly and never
// reused.
type kind byte

const (
	kindSystem        kind = 0x01
	kindSettings      kind = 0x02
	kindMarks         kind = 0x03
	kindOrg           kind = 0x10
	kindKey           kind = 0x11
	kindStore         kind = 0x12
	kindWindowHead    kind = 0x13
	kindWindowSlot    kind = 0x14
	kindNamespace     kind = 0x15
	kindUsage         kind = 0x18
	kindOrgKey        kind = 0x19
	kindFingerprint   kind = 0x20
	kindContent       kind = 0x21
	kindHistory       kind = 0x30
	kindRetired       kind = 0x16
	kindNamespaceName kind = 0x17
	kindChange        kind = 0x22
	kindChangeHead    kind = 0x23
	kindDeletedOrg    kind = 0x1a
	kindJoinToken     kind = 0x1b
	kindGossipRing    kind = 0x1c
	kindAdminToken    kind = 0x1e
	kindCARotation    kind = 0x1d

	kindRequest         kind = 0x31
	kindIdempotency     kind = 0x32
	kindIdempotencySlot kind = 0x33
	kindIdempotencyHead kind = 0x34
	kindRequestSlot     kind = 0x35
	kindRequestHead     kind = 0x36
	kindHistoryHead     kind = 0x37
	kindSyncID          kind = 0x38
	kindCheckpoint      kind = 0x39
)

// storeKinds are those of the rows in a store, whose keys begin with its number.
var storeKinds = [...]kind{
	kindNamespace, kindRetired, kindNamespaceName, kindFingerprint, kindContent, kindChange, kindChangeHead,
}

// orgKinds are those of the rows of an organization that go with it at once; their
// keys begin with its number. Its stores and keys have more rows than their own.
var orgKinds = [...]kind{
	kindWindowHead, kindWindowSlot, kindUsage, kindHistory, kindHistoryHead, kindSyncID, kindCheckpoint,
	kindIdempotency, kindIdempotencySlot, kindIdempotencyHead,
}

// A key is the kind, then numbers of fixed width, big-endian so that their
// order is the order of bytes, then the name as the last part: it needs no
// length, may hold any byte, and sorts by bytes.
//
//	+------+
//	| kind |                                                       system, settings, marks, request head, gossip ring, CA rotation, admin token
//	+------+--------+
//	| kind | name … |                                              organization, key, join token
//	+------+--------++--------+
//	| kind | org u32 | name … |                                    vector store, key of an organization, sync id, checkpoint
//	+------+---------+--------+
//	| kind | org u32 |                                             window head, idempotency head, history head, deleted organization
//	+------+---------+---------+
//	| kind | org u32 | store u32 |                                 usage
//	+------+---------+-----------+
//	| kind | org u32 | seq u64 |                                   window slot, idempotency slot
//	+------+---------+---------+-+
//	| kind | org u32 | index u64 |                                 history
//	+------+---------+-----------+-+
//	| kind | org u32 | key hash 32 |                               idempotency
//	+------+---------+-----+-------+
//	| kind | request id 16 |                                       request
//	+------+---------+-----+
//	| kind | seq u64 |                                             request slot
//	+------+---------+-+
//	| kind | store u32 | name … |                                  namespace
//	+------+-----------+--------+
//	| kind | store u32 |                                           change head
//	+------+-----------+-----------+------------+
//	| kind | store u32 | index u64 | offset u32 |                  changes
//	+------+-----------+-----------+---+--------+
//	| kind | store u32 | namespace u32 |                           namespace name
//	+------+-----------+---------------+----------------+
//	| kind | store u32 | namespace u32 | generation u32 |          retired
//	+------+-----------+---------------+----------------+------+
//	| kind | store u32 | namespace u32 | generation u32 | id … |   fingerprint, content
//	+------+-----------+---------------+----------------+------+
//
// The rows of one generation are the keys that start with its 13 bytes, and
// no other generation's keys do: the numbers before the id have a fixed width.

func appendSystemKey(dst []byte) []byte   { return append(dst, byte(kindSystem)) }
func appendSettingsKey(dst []byte) []byte { return append(dst, byte(kindSettings)) }
func appendMarksKey(dst []byte) []byte    { return append(dst, byte(kindMarks)) }

func appendAdminTokenKey(dst []byte) []byte { return append(dst, byte(kindAdminToken)) }

func appendGossipRingKey(dst []byte) []byte { return append(dst, byte(kindGossipRing)) }
func appendCARotationKey(dst []byte) []byte { return append(dst, byte(kindCARotation)) }

func appendOrgKey(dst []byte, name string) []byte {
	return append(append(dst, byte(kindOrg)), name...)
}

func appendKeyKey(dst []byte, id string) []byte {
	return append(append(dst, byte(kindKey)), id...)
}

func appendJoinTokenKey(dst []byte, id string) []byte {
	return append(append(dst, byte(kindJoinToken)), id...)
}

func appendDeletedOrgKey(dst []byte, org OrgNum) []byte {
	return binary.BigEndian.AppendUint32(append(dst, byte(kindDeletedOrg)), uint32(org))
}

func appendStoreKey(dst []byte, org OrgNum, name string) []byte {
	dst = binary.BigEndian.AppendUint32(append(dst, byte(kindStore)), uint32(org))
	return append(dst, name...)
}

// appendOrgKeyKey makes the key of the row that says that the organization has
// the key with this id.
func appendOrgKeyKey(dst []byte, org OrgNum, id string) []byte {
	dst = binary.BigEndian.AppendUint32(append(dst, byte(kindOrgKey)), uint32(org))
	return append(dst, id...)
}

func appendWindowHeadKey(dst []byte, org OrgNum) []byte {
	return binary.BigEndian.AppendUint32(append(dst, byte(kindWindowHead)), uint32(org))
}

func appendWindowSlotKey(dst []byte, org OrgNum, seq uint64) []byte {
	dst = binary.BigEndian.AppendUint32(append(dst, byte(kindWindowSlot)), uint32(org))
	return binary.BigEndian.AppendUint64(dst, seq)
}

func appendUsageKey(dst []byte, org OrgNum, store StoreNum) []byte {
	dst = binary.BigEndian.AppendUint32(append(dst, byte(kindUsage)), uint32(org))
	return binary.BigEndian.AppendUint32(dst, uint32(store))
}

func appendHistoryKey(dst []byte, org OrgNum, index uint64) []byte {
	dst = binary.BigEndian.AppendUint32(append(dst, byte(kindHistory)), uint32(org))
	return binary.BigEndian.AppendUint64(dst, index)
}

func appendHistoryHeadKey(dst []byte, org OrgNum) []byte {
	return binary.BigEndian.AppendUint32(append(dst, byte(kindHistoryHead)), uint32(org))
}

func appendSyncIDKey(dst []byte, org OrgNum, id string) []byte {
	dst = binary.BigEndian.AppendUint32(append(dst, byte(kindSyncID)), uint32(org))
	return append(dst, id...)
}

func appendCheckpointKey(dst []byte, org OrgNum, pipeline string) []byte {
	dst = binary.BigEndian.AppendUint32(append(dst, byte(kindCheckpoint)), uint32(org))
	return append(dst, pipeline...)
}

func appendIdempotencyKey(dst []byte, org OrgNum, key KeyHash) []byte {
	dst = binary.BigEndian.AppendUint32(append(dst, byte(kindIdempotency)), uint32(org))
	return append(dst, key[:]...)
}

func appendRequestKey(dst []byte, id RequestID) []byte {
	return append(append(dst, byte(kindRequest)), id[:]...)
}

func appendRequestSlotKey(dst []byte, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, byte(kindRequestSlot)), seq)
}

func appendRequestHeadKey(dst []byte) []byte { return append(dst, byte(kindRequestHead)) }

func appendIdempotencySlotKey(dst []byte, org OrgNum, seq uint64) []byte {
	dst = binary.BigEndian.AppendUint32(append(dst, byte(kindIdempotencySlot)), uint32(org))
	return binary.BigEndian.AppendUint64(dst, seq)
}

func appendIdempotencyHeadKey(dst []byte, org OrgNum) []byte {
	return binary.BigEndian.AppendUint32(append(dst, byte(kindIdempotencyHead)), uint32(org))
}

func appendNamespaceKey(dst []byte, store StoreNum, name string) []byte {
	dst = binary.BigEndian.AppendUint32(append(dst, byte(kindNamespace)), uint32(store))
	return append(dst, name...)
}

// appendRetiredKey makes the key of a retired generation. A number that is 0 and
// those behind it aren't in the key: it is the prefix of all that there are.
func appendRetiredKey(dst []byte, store StoreNum, ns NamespaceNum, gen Generation) []byte {
	dst = append(dst, byte(kindRetired))
	for _, n := range [...]uint32{uint32(store), uint32(ns), uint32(gen)} {
		if n == 0 {
			break
		}
		dst = binary.BigEndian.AppendUint32(dst, n)
	}
	return dst
}

func appendNamespaceNameKey(dst []byte, store StoreNum, ns NamespaceNum) []byte {
	dst = binary.BigEndian.AppendUint32(append(dst, byte(kindNamespaceName)), uint32(store))
	return binary.BigEndian.AppendUint32(dst, uint32(ns))
}

// appendChangePrefix makes the prefix of all change rows of a store.
func appendChangePrefix(dst []byte, store StoreNum) []byte {
	return binary.BigEndian.AppendUint32(append(dst, byte(kindChange)), uint32(store))
}

func appendChangeKey(dst []byte, store StoreNum, seq Seq) []byte {
	return appendSeq(appendChangePrefix(dst, store), seq)
}

func appendChangeHeadKey(dst []byte, store StoreNum) []byte {
	return binary.BigEndian.AppendUint32(append(dst, byte(kindChangeHead)), uint32(store))
}

// appendGenerationKey is with what the keys of all rows of that kind in a generation begin:
// fingerprints or contents.
func appendGenerationKey(dst []byte, k kind, store StoreNum, ns NamespaceNum, gen Generation) []byte {
	dst = append(dst, byte(k))
	dst = binary.BigEndian.AppendUint32(dst, uint32(store))
	dst = binary.BigEndian.AppendUint32(dst, uint32(ns))
	return binary.BigEndian.AppendUint32(dst, uint32(gen))
}

func appendFingerprintKey(dst []byte, store StoreNum, ns NamespaceNum, gen Generation, id string) []byte {
	return append(appendGenerationKey(dst, kindFingerprint, store, ns, gen), id...)
}

func appendContentKey(dst []byte, store StoreNum, ns NamespaceNum, gen Generation, changed Seq) []byte {
	return appendSeq(appendGenerationKey(dst, kindContent, store, ns, gen), changed)
}

func appendSeq(dst []byte, s Seq) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(dst, s.Index), s.Offset)
}

// appendPrefixEnd appends the smallest key that is greater than every key
// starting with prefix. A prefix starts with a kind, none of which is 0xff, so
// there always is one.
func appendPrefixEnd(dst, prefix []byte) []byte {
	end := len(prefix)
	for prefix[end-1] == 0xff {
		end--
	}
	dst = append(dst, prefix[:end]...)
	dst[len(dst)-1]++
	return dst
}

// rowKey is a key taken apart. Which fields count depends on the kind.
type rowKey struct {
	kind  kind
	org   OrgNum
	store StoreNum
	ns    NamespaceNum
	gen   Generation
	seq   uint64 // of a slot, or the index of a history row
	hash  KeyHash
	id    RequestID
	name  string // of an organization, a store or a namespace, of a pipeline, or the id of a key, a join token, a sync or a record
	at    Seq    // of a row of changes, or that a record has its content from
}

// parseKey is the inverse of the append functions.
func parseKey(key []byte) (rowKey, error) {
	r := reader{b: key, what: "key"}
	k := rowKey{kind: kind(r.u8())}
	switch k.kind {
	case kindSystem, kindSettings, kindMarks, kindRequestHead, kindAdminToken, kindGossipRing, kindCARotation:
	case kindRequest:
		copy(k.id[:], r.take(uint64(len(k.id))))
	case kindRequestSlot:
		k.seq = r.u64()
	case kindOrg, kindKey, kindJoinToken:
		k.name = r.rest()
	case kindStore, kindOrgKey, kindSyncID, kindCheckpoint:
		k.org, k.name = OrgNum(r.u32()), r.rest()
	case kindWindowHead, kindIdempotencyHead, kindHistoryHead, kindDeletedOrg:
		k.org = OrgNum(r.u32())
	case kindIdempotency:
		k.org = OrgNum(r.u32())
		copy(k.hash[:], r.take(uint64(len(k.hash))))
	case kindWindowSlot, kindIdempotencySlot, kindHistory:
		k.org, k.seq = OrgNum(r.u32()), r.u64()
	case kindUsage:
		k.org, k.store = OrgNum(r.u32()), StoreNum(r.u32())
	case kindNamespace:
		k.store, k.name = StoreNum(r.u32()), r.rest()
	case kindNamespaceName:
		k.store, k.ns = StoreNum(r.u32()), NamespaceNum(r.u32())
	case kindRetired:
		k.store, k.ns, k.gen = StoreNum(r.u32()), NamespaceNum(r.u32()), Generation(r.u32())
		if k.store == 0 || k.ns == 0 || k.gen == 0 {
			r.fail("a number is 0")
		}
	case kindChange:
		k.store = StoreNum(r.u32())
		k.at = Seq{r.u64(), r.u32()}
	case kindChangeHead:
		k.store = StoreNum(r.u32())
	case kindFingerprint:
		k.store, k.ns, k.gen = StoreNum(r.u32()), NamespaceNum(r.u32()), Generation(r.u32())
		k.name = r.rest()
	case kindContent:
		k.store, k.ns, k.gen = StoreNum(r.u32()), NamespaceNum(r.u32()), Generation(r.u32())
		k.at = Seq{r.u64(), r.u32()}
	default:
		r.fail("unknown kind 0x%02x", byte(k.kind))
	}
	if err := r.done(); err != nil {
		return rowKey{}, err
	}
	return k, nil
}

// String names the row in errors, without the name or id in it: that is a
// customer's data.
func (k rowKey) String() string {
	switch k.kind {
	case kindSystem:
		return "system row"
	case kindSettings:
		return "settings row"
	case kindMarks:
		return "marks row"
	case kindCARotation:
		return "CA rotation row"
	case kindOrg:
		return "organization row"
	case kindKey:
		return "key row"
	case kindJoinToken:
		return "join token row"
	case kindAdminToken:
		return "admin token row"
	case kindGossipRing:
		return "gossip ring row"
	case kindStore:
		return fmt.Sprintf("store row of organization %d", k.org)
	case kindOrgKey:
		return fmt.Sprintf("key of organization %d", k.org)
	case kindWindowHead:
		return fmt.Sprintf("window head of organization %d", k.org)
	case kindWindowSlot:
		return fmt.Sprintf("window slot %d of organization %d", k.seq, k.org)
	case kindHistory:
		return fmt.Sprintf("history row %d of organization %d", k.seq, k.org)
	case kindDeletedOrg:
		return fmt.Sprintf("row of the deleted organization %d", k.org)
	case kindHistoryHead:
		return fmt.Sprintf("history head of organization %d", k.org)
	case kindSyncID:
		return fmt.Sprintf("sync id row of organization %d", k.org)
	case kindCheckpoint:
		return fmt.Sprintf("checkpoint of organization %d", k.org)
	case kindRequest:
		return "request row"
	case kindRequestSlot:
		return fmt.Sprintf("request slot %d", k.seq)
	case kindRequestHead:
		return "request head"
	case kindIdempotency:
		return fmt.Sprintf("idempotency row of organization %d", k.org)
	case kindIdempotencySlot:
		return fmt.Sprintf("idempotency slot %d of organization %d", k.seq, k.org)
	case kindIdempotencyHead:
		return fmt.Sprintf("idempotency head of organization %d", k.org)
	case kindUsage:
		return fmt.Sprintf("usage row of organization %d, store %d", k.org, k.store)
	case kindNamespace:
		return fmt.Sprintf("namespace row of store %d", k.store)
	case kindNamespaceName:
		return fmt.Sprintf("name row of store %d, namespace %d", k.store, k.ns)
	case kindRetired:
		return fmt.Sprintf("row of the retired generation %d of store %d, namespace %d", k.gen, k.store, k.ns)
	case kindChange:
		return fmt.Sprintf("change row %d.%d of store %d", k.at.Index, k.at.Offset, k.store)
	case kindChangeHead:
		return fmt.Sprintf("change head of store %d", k.store)
	case kindFingerprint:
		return fmt.Sprintf("fingerprint row of store %d, namespace %d, generation %d", k.store, k.ns, k.gen)
	case kindContent:
		return fmt.Sprintf("content row %d.%d of store %d, namespace %d, generation %d", k.at.Index, k.at.Offset, k.store, k.ns, k.gen)
	}
	return fmt.Sprintf("row of kind 0x%02x", byte(k.kind))
}
