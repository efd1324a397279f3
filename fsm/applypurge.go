package fsm

import (
	"fmt"

	"pipesync/storage"
)

// What a Purge removes at most.
const (
	maxPurgeStores = 50
	maxPurgeKeys   = 2000
)

// decide makes an organization and all of its keys and stores unreachable: they are
// looked up by its number, which nothing leads to any more.
func (c *OrgDelete) decide(tx *transaction) (*Result, error) {
	org, found, err := tx.db.Org(c.Org)
	if err != nil {
		return nil, fmt.Errorf("delete organization: %w", err)
	}
	if !found {
		return tx.refuse(OrgNotFound), nil
	}
	usage, err := readUsage(tx.db, org.Num, 0)
	if err != nil {
		return nil, fmt.Errorf("delete organization: %w", err)
	}
	usage.move(usage.inOrg, storage.Usage{})
	usage.replaceOrg(c.Org, storage.Digest{})
	usage.put(tx.batch)
	tx.batch.DropOrg(c.Org, org.Num)
	return tx.done(false), nil
}

func (c *Purge) decide(tx *transaction) (*Result, error) {
	deleted, err := tx.db.OrgDeleted(c.Org)
	if err != nil {
		return nil, fmt.Errorf("purge: %w", err)
	}
	if !deleted {
		return tx.done(false), nil
	}
	stores, keys := 0, 0
	err = tx.db.ScanStores(c.Org, "", maxPurgeStores, func(name string, s storage.Store) error {
		stores++
		tx.batch.DropStore(c.Org, name, s.Num)
		return nil
	})
	if err == nil {
		err = tx.db.ScanOrgKeys(c.Org, "", maxPurgeKeys, func(id string) error {
			keys++
			tx.batch.DeleteOrgKey(c.Org, id)
			// An id that is in use again is another organization's.
			_, taken, err := readKey(tx.db, id)
			if !taken {
				tx.batch.DeleteKey(id)
			}
			return err
		})
	}
	if err != nil {
		return nil, fmt.Errorf("purge: %w", err)
	}
	if stores < maxPurgeStores && keys < maxPurgeKeys {
		tx.batch.EndDeletedOrg(c.Org)
	}
	return tx.done(false), nil
}

// readKey reads an API key. One of an organization that was deleted counts as
// missing, though another may have the organization's name by now.
func readKey(r storage.Reader, id string) (storage.Key, bool, error) {
	key, found, err := r.Key(id)
	if err != nil || !found {
		return storage.Key{}, false, err
	}
	org, found, err := r.Org(key.Org)
	if err == nil && found {
		found, err = r.OrgKey(org.Num, id)
	}
	if err != nil || !found {
		return storage.Key{}, false, err
	}
	return key, true, nil
}

// PurgeSweep removes what is left of one deleted organization.
type PurgeSweep struct {
	org  storage.OrgNum
	done bool
}

// PurgeSweeps returns at most limit of them.
func (v *View) PurgeSweeps(limit int) ([]*PurgeSweep, error) {
	var due []*PurgeSweep
	err := v.snapshot.ScanDeletedOrgs(limit, func(org storage.OrgNum) error {
		due = append(due, &PurgeSweep{org: org})
		return nil
	})
	return due, err
}

// Done says that the sweep is at its end: Next has nothing more to give.
func (s *PurgeSweep) Done() bool { return s.done }

// Next returns the next command to propose, under a request id, or nil where nothing
// is left in v.
func (s *PurgeSweep) Next(v *View, id RequestID) (Command, error) {
	deleted, err := v.snapshot.OrgDeleted(s.org)
	if err != nil || !deleted {
		s.done = true
		return nil, err
	}
	return &Purge{RequestID: id, Org: s.org}, nil
}
