package fsm

import (
	"errors"
	"fmt"
	"iter"
	"math"

	"pipesync/storage"
)

// Syncs goes through the history of an organization, the newest sync first, from
// the one before an index, or from the newest where before is 0. What it isn't
// asked for isn't read. A missing organization has none.
func (v *View) Syncs(org string, before uint64) iter.Seq2[SyncInfo, error] {
	if before == 0 {
		before = math.MaxUint64
	}
	return func(yield func(SyncInfo, error) bool) {
		o, found, err := v.snapshot.Org(org)
		if err == nil && found {
			err = v.syncs(o.Num, before, yield)
		}
		if err != nil && !errors.Is(err, errListFull) {
			yield(SyncInfo{}, err)
		}
	}
}

func (v *View) syncs(org storage.OrgNum, before uint64, yield func(SyncInfo, error) bool) error {
	head, err := v.snapshot.HistoryHead(org)
	if err != nil {
		return err
	}
	return v.snapshot.ScanHistoryBack(org, before, scanAll, func(index uint64, row storage.History) error {
		if index < head.First || !yield(SyncInfo{index, row}, nil) {
			return errListFull
		}
		return nil
	})
}

// Sync returns the sync of an organization with this id; false where it isn't in
// the history.
func (v *View) Sync(org, id string) (SyncInfo, bool, error) {
	o, found, err := v.snapshot.Org(org)
	if err != nil || !found {
		return SyncInfo{}, false, err
	}
	index, found, err := v.snapshot.SyncIndex(o.Num, id)
	if err != nil || !found {
		return SyncInfo{}, false, err
	}
	row, found, err := v.snapshot.History(o.Num, index)
	if err == nil && !found {
		err = fmt.Errorf("%w: a sync id names sync %d, which has no history", storage.ErrCorrupt, index)
	}
	return SyncInfo{index, row}, err == nil, err
}

// Checkpoint returns the checkpoint of a pipeline of an organization; false
// where either is missing.
func (v *View) Checkpoint(org, pipeline string) (storage.PipelineCheckpoint, bool, error) {
	o, found, err := v.snapshot.Org(org)
	if err != nil || !found {
		return storage.PipelineCheckpoint{}, false, err
	}
	return v.snapshot.PipelineCheckpoint(o.Num, pipeline)
}
