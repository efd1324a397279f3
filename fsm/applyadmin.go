package fsm

import (
	"fmt"

	"pipesync/storage"
)

// firstNumber is the first interned number: 0 means none.
const firstNumber = 1

// firstClusterVersion is what a cluster's version is when it is bootstrapped.
const firstClusterVersion = 1

func (c *Bootstrap) decide(tx *transaction) (*Result, error) {
	if tx.system.ClusterID != "" {
		return tx.done(false), nil
	}
	tx.system.ClusterID = c.ClusterID
	tx.system.Epoch = c.Epoch
	tx.system.ClusterVersion = firstClusterVersion
	tx.system.NextOrg = firstNumber
	tx.system.NextStore = firstNumber
	tx.system.NextNamespace = firstNumber
	tx.batch.PutSettings(c.Settings)
	return tx.done(true), nil
}

func (c *SettingsSet) decide(tx *transaction) (*Result, error) {
	set, found, err := tx.db.Settings()
	if err == nil && !found {
		err = fmt.Errorf("%w: no settings", storage.ErrCorrupt)
	}
	if err != nil {
		return nil, fmt.Errorf("change settings: %w", err)
	}
	SettingsFigures.change(&set, c.Figures)
	tx.batch.PutSettings(set)
	return tx.done(false), nil
}

func (c *LimitsSet) decide(tx *transaction) (*Result, error) {
	org, found, err := tx.db.Org(c.Org)
	if err != nil {
		return nil, fmt.Errorf("change limits: %w", err)
	}
	if !found {
		org = tx.newOrg()
	}
	LimitsFigures.change(&org.Limits, c.Figures)
	tx.batch.PutOrg(c.Org, org)
	return tx.done(!found), nil
}

func (c *StoreCreate) decide(tx *transaction) (*Result, error) {
	org, err := tx.ensureOrg(c.Org)
	if err != nil {
		return nil, fmt.Errorf("create store: %w", err)
	}
	created, err := tx.ensureStore(org, c.Store)
	if err != nil {
		return nil, fmt.Errorf("create store: %w", err)
	}
	return tx.done(created), nil
}

func (tx *transaction) ensureOrg(name string) (storage.OrgNum, error) {
	org, found, err := tx.db.Org(name)
	if err != nil || found {
		return org.Num, err
	}
	org = tx.newOrg()
	tx.batch.PutOrg(name, org)
	return org.Num, nil
}

func (tx *transaction) newOrg() storage.Org {
	org := storage.Org{Num: tx.system.NextOrg, CreatedAt: tx.wall}
	tx.system.NextOrg++
	return org
}

func (tx *transaction) ensureStore(org storage.OrgNum, name string) (created bool, err error) {
	_, found, err := tx.db.Store(org, name)
	if err != nil || found {
		return false, err
	}
	num := tx.system.NextStore
	tx.batch.PutStore(org, name, storage.Store{Num: num, CreatedAt: tx.wall})
	// Whoever followed a store of this name that was deleted has to begin again.
	tx.batch.PutChangeHead(num, storage.ChangeHead{Horizon: storage.Seq{Index: tx.index}})
	tx.system.NextStore++
	return true, nil
}
