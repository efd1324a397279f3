package fsm

import "fmt"

// decide removes entries of a change index that hold no longer. Nobody who reads
// it sees a difference.
func (c *ChangeCollect) decide(tx *transaction) (*Result, error) {
	w, err := tx.write(c.Store, 0)
	if err != nil {
		return nil, fmt.Errorf("collect changes: %w", err)
	}
	list, err := readChanges(tx.db, c.Store, c.After, MaxCollectRows)
	if err != nil {
		return nil, fmt.Errorf("collect changes: %w", err)
	}
	for i := range list {
		if list[i].seq.Compare(c.Until) > 0 {
			break
		}
		if !list[i].holds() {
			w.removeChange(list[i].seq)
		}
	}
	w.finish()
	return tx.done(false), nil
}
