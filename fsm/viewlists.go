package fsm

import (
	"errors"
	"fmt"
	"iter"

	"pipesync/storage"
)

// Lists are in ascending order of bytes, begin strictly after `after` and have
// at most limit elements; limit must be positive.

var errListFull = errors.New("list is full")

// Namespaces lists the namespaces of a vector store that the scope allows. Its
// error matches ErrStoreNotFound where organization or store is missing.
func (v *View) Namespaces(org, store string, scope Scope, after string, limit int) ([]NamespaceInfo, error) {
	s, err := v.findStore(org, store)
	if err != nil {
		return nil, err
	}
	var list []NamespaceInfo
	err = v.snapshot.ScanNamespaces(s.Num, after, scanAll, func(name string, ns storage.Namespace) error {
		if ns.Deleted || !scope.AllowsNamespace(name) {
			return nil
		}
		if list = append(list, namespaceInfo(name, ns)); len(list) == limit {
			return errListFull
		}
		return nil
	})
	if errors.Is(err, errListFull) {
		err = nil
	}
	return list, err
}

// Namespace returns one namespace; false where it, the store or the
// organization is missing.
func (v *View) Namespace(org, store, name string) (NamespaceInfo, bool, error) {
	_, ns, err := v.findNamespace(org, store, name)
	if errors.Is(err, ErrStoreNotFound) || errors.Is(err, ErrNamespaceNotFound) {
		return NamespaceInfo{}, false, nil
	}
	if err != nil {
		return NamespaceInfo{}, false, err
	}
	return namespaceInfo(name, ns), true, nil
}

// Records goes through the live records of a namespace by id, strictly after
// `after`; what it isn't asked for isn't read. gen 0 means the live generation.
// An error ends it: one that matches ErrGenerationGone where another generation
// is live now, ErrStoreNotFound or ErrNamespaceNotFound where one of those is
// missing.
func (v *View) Records(org, store, ns string, gen storage.Generation, after string) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		s, row, err := v.findNamespace(org, store, ns)
		if err == nil && gen != 0 && gen != row.Live {
			err = ErrGenerationGone
		}
		if err == nil {
			err = v.snapshot.ScanRecords(s.Num, row.Num, row.Live, after, scanAll,
				func(id string, f storage.Fingerprint, c storage.Content) error {
					if !yield(newRecord(ns, id, f, c), nil) {
						return errListFull
					}
					return nil
				})
		}
		if err != nil && !errors.Is(err, errListFull) {
			yield(Record{}, err)
		}
	}
}

// Record returns one live record; false where it, its namespace, store or
// organization is missing.
func (v *View) Record(org, store, ns, id string) (Record, bool, error) {
	s, row, err := v.findNamespace(org, store, ns)
	if errors.Is(err, ErrStoreNotFound) || errors.Is(err, ErrNamespaceNotFound) {
		return Record{}, false, nil
	}
	if err != nil {
		return Record{}, false, err
	}
	f, c, found, err := v.snapshot.Record(s.Num, row.Num, row.Live, id)
	if err != nil || !found {
		return Record{}, false, err
	}
	return newRecord(ns, id, f, c), true, nil
}

// Keys lists API keys by id.
func (v *View) Keys(after string, limit int) ([]KeyInfo, error) {
	var list []KeyInfo
	err := v.snapshot.ScanKeys(after, scanAll, func(id string, _ storage.Key) error {
		key, found, err := readKey(v.snapshot, id)
		if err != nil || !found {
			return err
		}
		list = append(list, KeyInfo{ID: id, Key: key})
		if len(list) >= limit {
			return errListFull
		}
		return nil
	})
	if errors.Is(err, errListFull) {
		err = nil
	}
	return list, err
}

// OrgKeys lists the API keys of an organization by id, none where it is missing.
func (v *View) OrgKeys(org, after string, limit int) ([]KeyInfo, error) {
	o, found, err := v.snapshot.Org(org)
	if err != nil || !found {
		return nil, err
	}
	var list []KeyInfo
	err = v.snapshot.ScanOrgKeys(o.Num, after, limit, func(id string) error {
		key, found, err := v.snapshot.Key(id)
		if err == nil && !found {
			err = fmt.Errorf("list keys: %w: key %s is listed and has no row", storage.ErrCorrupt, id)
		}
		list = append(list, KeyInfo{ID: id, Key: key})
		return err
	})
	return list, err
}

// JoinTokens lists tokens by id; those that have expired stay until another is made.
func (v *View) JoinTokens(after string, limit int) ([]TokenInfo, error) {
	var list []TokenInfo
	err := v.snapshot.ScanJoinTokens(after, limit, func(id string, t storage.JoinToken) error {
		list = append(list, TokenInfo{ID: id, JoinToken: t})
		return nil
	})
	return list, err
}

// scanAll is a limit that no list reaches.
const scanAll = 1 << 40

// Stores lists the vector stores of an organization, none where it is missing.
func (v *View) Stores(org, after string, limit int) ([]StoreInfo, error) {
	o, found, err := v.snapshot.Org(org)
	if err != nil || !found {
		return nil, err
	}
	var list []StoreInfo
	err = v.snapshot.ScanStores(o.Num, after, limit, func(name string, s storage.Store) error {
		list = append(list, StoreInfo{Name: name, Store: s})
		return nil
	})
	return list, err
}

// Orgs lists the organizations.
func (v *View) Orgs(after string, limit int) ([]OrgInfo, error) {
	var list []OrgInfo
	err := v.snapshot.ScanOrgs(after, limit, func(name string, o storage.Org) error {
		list = append(list, OrgInfo{Name: name, Org: o})
		return nil
	})
	return list, err
}

func (v *View) findStore(org, store string) (storage.Store, error) {
	s, found, err := v.Store(org, store)
	if err == nil && !found {
		err = ErrStoreNotFound
	}
	return s, err
}

func (v *View) findNamespace(org, store, name string) (storage.Store, storage.Namespace, error) {
	s, err := v.findStore(org, store)
	if err != nil {
		return storage.Store{}, storage.Namespace{}, err
	}
	ns, found, err := v.snapshot.Namespace(s.Num, name)
	if err == nil && (!found || ns.Deleted) {
		err = ErrNamespaceNotFound
	}
	return s, ns, err
}

func namespaceInfo(name string, ns storage.Namespace) NamespaceInfo {
	return NamespaceInfo{
		Name:       name,
		Records:    ns.Count,
		Bytes:      ns.Bytes,
		Digest:     ns.Digest,
		Generation: ns.Live,
		Index:      ns.LastIndex,
		UpdatedAt:  ns.UpdatedAt,
	}
}

func newRecord(ns, id string, f storage.Fingerprint, c storage.Content) Record {
	return Record{
		ID:            id,
		Namespace:     ns,
		Data:          c.Data,
		File:          c.File,
		SourceSystem:  c.SourceSystem,
		CreatedAt:     c.CreatedAt,
		UpdatedAt:     c.UpdatedAt,
		SyncTimestamp: f.SyncTimestamp,
		SyncID:        c.SyncID,
		Hash:          f.Hash,
		Index:         f.Changed.Index,
	}
}
