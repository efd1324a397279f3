package fsm

import (
	"bytes"
	"crypto/sha256"
	"fmt"

	"pipesync/storage"
)

// decide begins a rotation, where none is under way but one that has not left its
// first phase and is given up.
func (c *CARotationBegin) decide(tx *transaction) (*Result, error) {
	now, err := tx.db.CARotation()
	if err != nil {
		return nil, fmt.Errorf("begin a rotation of the CA: %w", err)
	}
	phase, given := RotationPhase(now.Phase), now.BegunAt
	running := phase != 0 && phase != RotationDone
	switch {
	case phase != 0 && bytes.Equal(now.CA, c.CA):
		return tx.done(false), nil
	case c.Replaces == [32]byte{} && running:
		return tx.refuse(RotationRunning), nil
	case c.Replaces == [32]byte{}:
		given = tx.wall
	case phase != RotationTrust || sha256.Sum256(now.CA) != c.Replaces:
		return tx.refuse(RotationMismatch), nil
	}
	tx.batch.PutCARotation(storage.CARotation{Phase: byte(RotationTrust), CA: c.CA, BegunAt: given, PhaseAt: tx.wall})
	return tx.done(true), nil
}

// decide begins the next phase. Which one all members are done with, the leader has
// heard from them.
func (c *CARotationAdvance) decide(tx *transaction) (*Result, error) {
	now, err := tx.db.CARotation()
	if err != nil {
		return nil, fmt.Errorf("advance the rotation of the CA: %w", err)
	}
	phase := RotationPhase(now.Phase)
	switch {
	case phase == 0 || sha256.Sum256(now.CA) != c.CA || c.To > phase+1:
		return tx.refuse(RotationMismatch), nil
	case c.To <= phase:
		return tx.done(false), nil
	}
	now.Phase, now.PhaseAt = byte(c.To), tx.wall
	tx.batch.PutCARotation(now)
	return tx.done(true), nil
}
