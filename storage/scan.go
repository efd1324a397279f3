package storage

import (
	"errors"
	"math"

	"github.com/cockroachdb/pebble/v2"
)

// prefixIter gives an iterator over the keys that start with prefix, or, where
// after isn't empty, over those of them that are greater than prefix‖after.
func (rs rows) prefixIter(prefix []byte, after string) (*pebble.Iterator, error) {
	lower := prefix
	if after != "" {
		lower = append(append(append([]byte{}, prefix...), after...), 0)
	}
	it, err := rs.src.NewIter(&pebble.IterOptions{
		LowerBound: lower,
		UpperBound: appendPrefixEnd(nil, prefix),
	})
	if err != nil {
		return nil, readError(prefix, err)
	}
	return it, nil
}

// closeIter closes it and adds what went wrong while iterating, if anything,
// to the error of whoever used it.
func closeIter(it *pebble.Iterator, prefix []byte, err *error) {
	if closeErr := it.Close(); closeErr != nil && *err == nil {
		*err = readError(prefix, closeErr)
	}
}

func scan[T any, P decodable[T]](rs rows, prefix []byte, after string, limit int, visit func(string, T) error) (err error) {
	it, err := rs.prefixIter(prefix, after)
	if err != nil {
		return err
	}
	defer closeIter(it, prefix, &err)
	// One of each for all rows: they escape into decode.
	var r reader
	var row, zero T
	for ok := it.First(); ok && limit > 0; ok, limit = it.Next(), limit-1 {
		value, err := it.ValueAndErr()
		if err != nil {
			return readError(it.Key(), err)
		}
		row = zero
		if err := decodeWith[T, P](&r, it.Key(), value, &row); err != nil {
			return err
		}
		if err := visit(string(it.Key()[len(prefix):]), row); err != nil {
			return err
		}
	}
	return nil
}

func (rs rows) ScanOrgs(after string, limit int, visit func(name string, o Org) error) error {
	return scan(rs, appendOrgKey(nil, ""), after, limit, visit)
}

func (rs rows) ScanKeys(after string, limit int, visit func(id string, k Key) error) error {
	return scan(rs, appendKeyKey(nil, ""), after, limit, visit)
}

func (rs rows) ScanJoinTokens(after string, limit int, visit func(id string, t JoinToken) error) error {
	return scan(rs, appendJoinTokenKey(nil, ""), after, limit, visit)
}

func (rs rows) ScanOrgKeys(org OrgNum, after string, limit int, visit func(id string) error) error {
	return scan(rs, appendOrgKeyKey(nil, org, ""), after, limit, func(id string, _ empty) error { return visit(id) })
}

func (rs rows) ScanDeletedOrgs(limit int, visit func(org OrgNum) error) error {
	return scan(rs, []byte{byte(kindDeletedOrg)}, "", limit, func(num string, _ empty) error {
		r := reader{b: []byte(num), what: "key"}
		return visit(OrgNum(r.u32()))
	})
}

func (rs rows) ScanStores(org OrgNum, after string, limit int, visit func(name string, s Store) error) error {
	return scan(rs, appendStoreKey(nil, org, ""), after, limit, visit)
}

func (rs rows) ScanFingerprints(store StoreNum, ns NamespaceNum, gen Generation, after string, limit int,
	visit func(id string, f Fingerprint) error,
) error {
	return scan(rs, appendGenerationKey(nil, kindFingerprint, store, ns, gen), after, limit, visit)
}

func (rs rows) ScanChanges(store StoreNum, after Seq, limit int, visit func(seq Seq, c Change) error) error {
	if limit <= 0 {
		return nil
	}
	err := rs.ScanChangeRows(store, after, func(row Seq, list []ChangeAt) error {
		for i := range list {
			seq := Seq{row.Index, list[i].Offset}
			if seq.Compare(after) <= 0 {
				continue
			}
			if err := visit(seq, list[i].Change); err != nil {
				return err
			}
			if limit--; limit == 0 {
				return errScanned
			}
		}
		return nil
	})
	if errors.Is(err, errScanned) {
		return nil
	}
	return err
}

// errScanned ends a scan that has visited as many as it may.
var errScanned = errors.New("the limit is reached")

func (rs rows) ScanChangeRows(store StoreNum, after Seq, visit func(row Seq, list []ChangeAt) error) error {
	prefix := appendChangePrefix(nil, store)
	from := string(appendChangeKey(nil, store, after)[len(prefix):])
	return scan(rs, prefix, from, math.MaxInt, func(rest string, list changes) error {
		r := reader{b: []byte(rest), what: "key"}
		row := Seq{r.u64(), r.u32()}
		if err := r.done(); err != nil {
			return err
		}
		return visit(row, list)
	})
}

func (rs rows) ScanRetired(store StoreNum, ns NamespaceNum, limit int,
	visit func(store StoreNum, ns NamespaceNum, gen Generation) error,
) error {
	prefix := appendRetiredKey(nil, store, ns, 0)
	return scan(rs, prefix, "", limit, func(rest string, _ Retired) error {
		k, err := parseKey(append(prefix[:len(prefix):len(prefix)], rest...))
		if err != nil {
			return err
		}
		return visit(k.store, k.ns, k.gen)
	})
}

func (rs rows) ScanNamespaces(store StoreNum, after string, limit int, visit func(name string, n Namespace) error) error {
	return scan(rs, appendNamespaceKey(nil, store, ""), after, limit, visit)
}
