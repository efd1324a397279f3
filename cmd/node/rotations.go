package main

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"pipesync/cluster"
	"pipesync/fsm"
)

// rotations keeps the rotation of the cluster's CA in the state.
type rotations struct{ state *fsm.FSM }

// phases are the cluster's by the number that the state machine has for them.
var phases = []cluster.RotationPhase{
	fsm.RotationTrust:  cluster.RotationTrust,
	fsm.RotationIssue:  cluster.RotationIssue,
	fsm.RotationRetire: cluster.RotationRetire,
	fsm.RotationDone:   cluster.RotationDone,
}

// Rotation implements cluster.Rotations.
func (r rotations) Rotation() (cluster.Rotation, error) {
	view, err := r.state.View()
	if err != nil {
		return cluster.Rotation{}, err
	}
	defer view.Close()
	row, err := view.CARotation()
	if err != nil || row.Phase == 0 {
		return cluster.Rotation{}, err
	}
	if int(row.Phase) >= len(phases) {
		return cluster.Rotation{}, fmt.Errorf("the rotation of the CA is in phase %d, which this program doesn't know", row.Phase)
	}
	return cluster.Rotation{Phase: phases[row.Phase], CA: row.CA, BegunAt: time.Unix(0, row.BegunAt), PhaseAt: time.Unix(0, row.PhaseAt)}, nil
}

func (rotations) Begin(ca []byte, replaces [sha256.Size]byte) ([]byte, error) {
	command := &fsm.CARotationBegin{CA: ca, Replaces: replaces}
	_, _ = rand.Read(command.RequestID[:]) // never fails: see crypto/rand
	return fsm.Encode(command)
}

func (rotations) Advance(ca [sha256.Size]byte, to cluster.RotationPhase) ([]byte, error) {
	command := &fsm.CARotationAdvance{CA: ca, To: fsm.RotationPhase(slices.Index(phases, to))}
	_, _ = rand.Read(command.RequestID[:]) // never fails: see crypto/rand
	return fsm.Encode(command)
}

func (rotations) Decided(reply []byte) error {
	result, err := fsm.DecodeResult(reply)
	switch {
	case err != nil:
		return fmt.Errorf("reading what became of the rotation: %w: %w", cluster.ErrOutcomeUnknown, err)
	case result.Outcome == fsm.VersionTooLow:
		return cluster.ErrClusterTooOld
	case result.Outcome != fsm.OK:
		return fmt.Errorf("the state machine says %s: %w", result.Outcome.Name(), cluster.ErrRotationFailed)
	}
	return nil
}
