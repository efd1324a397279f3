package fsm

import (
	"errors"
	"fmt"

	"pipesync/storage"
)

// DryRun decides about an encoded sync as Apply would if it were the next entry, of
// this wall time, and writes nothing. The rate window has no say in it, and so
// cluster time neither. The result's index is that of the view's last entry.
func (v *View) DryRun(body []byte, wallTime int64) (*Result, error) {
	cmd, err := decodeEntry(body)
	if err != nil {
		return nil, fmt.Errorf("dry run: %w", err)
	}
	if _, ok := cmd.(*syncEntry); !ok {
		return nil, fmt.Errorf("dry run of a %T", cmd)
	}
	tx := &transaction{
		db:     uncounted{v.snapshot},
		batch:  v.handle.db.NewBatch(),
		system: v.system,
		index:  v.system.AppliedIndex + 1,
		wall:   wallTime,
		bounds: v.fsm.opts.Bounds,
	}
	result, err := tx.decide(cmd)
	if err := errors.Join(err, tx.batch.Close()); err != nil {
		return nil, fmt.Errorf("dry run: %w", err)
	}
	result.Index = v.system.AppliedIndex
	result.Sync.Window = Window{}
	return result, nil
}

// uncounted is a state in which no sync was ever admitted.
type uncounted struct{ storage.Reader }

func (uncounted) WindowHead(storage.OrgNum) (storage.WindowHead, error) {
	return storage.WindowHead{}, nil
}
