package fsm

import (
	"cmp"

	"pipesync/storage"
)

// limitsOf are the limits that hold for an organization: its own, and those of
// the settings where it has none.
func limitsOf(org storage.Org, set storage.Settings) storage.Limits {
	own, others := org.Limits, set.Limits
	return storage.Limits{
		RequestsPerWindow: cmp.Or(own.RequestsPerWindow, others.RequestsPerWindow),
		BytesPerWindow:    cmp.Or(own.BytesPerWindow, others.BytesPerWindow),
		RecordsMax:        cmp.Or(own.RecordsMax, others.RecordsMax),
		BytesMax:          cmp.Or(own.BytesMax, others.BytesMax),
		TombstonesMax:     cmp.Or(own.TombstonesMax, others.TombstonesMax),
		NamespacesMax:     cmp.Or(own.NamespacesMax, others.NamespacesMax),
	}
}

// OrgLimits are an organization's limits: its own, 0 where it has none, and those
// that hold; and what it has.
type OrgLimits struct {
	Own       storage.Limits
	Effective storage.Limits
	Usage     storage.Usage
}

// Limits returns the limits of an organization; false where it is missing.
func (v *View) Limits(name string) (OrgLimits, bool, error) {
	org, found, err := v.snapshot.Org(name)
	if err != nil || !found {
		return OrgLimits{}, false, err
	}
	set, _, err := v.snapshot.Settings()
	if err != nil {
		return OrgLimits{}, false, err
	}
	usage, err := v.snapshot.Usage(org.Num, 0)
	return OrgLimits{Own: org.Limits, Effective: limitsOf(org, set), Usage: usage}, err == nil, err
}
