package fsm

import (
	"crypto/sha256"
	"testing"

	"pipesync/storage"
)

// modelRotation is the last rotation of the CA.
type modelRotation struct {
	ca       string
	phase    RotationPhase
	begun    int64
	advanced int64
}

func (m *model) changeRotation(cmd Command, at Stamp) (outcome Outcome, created bool) {
	m.clusterTime = max(m.clusterTime, at.ClusterTime)
	now := &m.rotation
	if _, ok := cmd.(*VersionRaise); ok {
		return m.changeGossip(cmd, at)
	}
	if m.version < 2 {
		return VersionTooLow, false
	}
	switch c := cmd.(type) {
	case *CARotationBegin:
		giveUp := c.Replaces != [32]byte{}
		switch {
		case string(c.CA) == now.ca:
			return OK, false
		case giveUp && (now.phase != RotationTrust || c.Replaces != sha256.Sum256([]byte(now.ca))):
			return RotationMismatch, false
		case !giveUp && now.phase >= RotationTrust && now.phase <= RotationRetire:
			return RotationRunning, false
		case !giveUp:
			now.begun = at.WallTime
		}
		now.ca, now.phase, now.advanced = string(c.CA), RotationTrust, at.WallTime
		return OK, true
	case *CARotationAdvance:
		switch {
		case now.phase == 0 || c.CA != sha256.Sum256([]byte(now.ca)):
			return RotationMismatch, false
		case c.To <= now.phase:
			return OK, false
		case c.To != now.phase+1:
			return RotationMismatch, false
		}
		now.phase, now.advanced = c.To, at.WallTime
		return OK, true
	}
	panic("no command of rotations")
}

// someRotationCommands are about two CAs, and what raises the version for them.
func someRotationCommands() []Command {
	list := []Command{&VersionRaise{Version: 2}}
	a, b := []byte("a"), []byte("b")
	for _, ca := range [][]byte{a, b} {
		list = append(list, &CARotationBegin{CA: ca}, &CARotationBegin{CA: ca, Replaces: sha256.Sum256(a)})
		for to := RotationIssue; to <= RotationDone; to++ {
			list = append(list, &CARotationAdvance{CA: sha256.Sum256(ca), To: to})
		}
	}
	return list
}

// rotateBoth has model and state machine decide about a command of a rotation.
func rotateBoth(r *rig, m *model, cmd Command) {
	r.t.Helper()
	outcome, created := m.changeRotation(cmd, Stamp{ClusterTime: r.now, WallTime: r.wall})
	if got := r.apply(cmd); got.Outcome != outcome || got.Created != created {
		r.t.Fatalf("%T: outcome %d, created %v, want %d, %v", cmd, got.Outcome, got.Created, outcome, created)
	}
}

func compareRotation(t failer, v *View, m *model) {
	got, err := v.CARotation()
	want := storage.CARotation{Phase: byte(m.rotation.phase), CA: []byte(m.rotation.ca), BegunAt: m.rotation.begun, PhaseAt: m.rotation.advanced}
	if err != nil || got.Phase != want.Phase || string(got.CA) != string(want.CA) || got.BegunAt != want.BegunAt || got.PhaseAt != want.PhaseAt {
		t.Fatalf("rotation of the CA: %+v, %v, want %+v", got, err, want)
	}
}

// A rotation goes through its phases one by one, and one that nobody has gone on with
// makes room for another.
func TestARotationOfTheCA(t *testing.T) {
	r, m := newRig(t), newModel(10)
	r.setUp(10)
	a, b, c := []byte("a"), []byte("b"), []byte("c")
	sum := sha256.Sum256
	for _, cmd := range []Command{
		&CARotationBegin{CA: a}, // too early
		&VersionRaise{Version: 2},
		&CARotationAdvance{CA: sum(a), To: RotationIssue}, // of none
		&CARotationBegin{CA: a, Replaces: sum(b)},         // likewise
		&CARotationBegin{CA: a},
		&CARotationBegin{CA: a}, // again
		&CARotationBegin{CA: b},
		&CARotationBegin{CA: b, Replaces: sum(a)},
		&CARotationBegin{CA: c, Replaces: sum(a)},
		&CARotationAdvance{CA: sum(a), To: RotationIssue},
		&CARotationAdvance{CA: sum(b), To: RotationRetire}, // leaves one out
		&CARotationAdvance{CA: sum(b), To: RotationIssue},
		&CARotationAdvance{CA: sum(b), To: RotationIssue},
		&CARotationBegin{CA: c, Replaces: sum(b)}, // too late
		&CARotationAdvance{CA: sum(b), To: RotationRetire},
		&CARotationAdvance{CA: sum(b), To: RotationIssue}, // never back
		&CARotationBegin{CA: c},
		&CARotationAdvance{CA: sum(b), To: RotationDone},
		&CARotationBegin{CA: c, Replaces: sum(b)},
		&CARotationBegin{CA: c},
	} {
		r.wall++
		rotateBoth(r, m, cmd)
		v := r.view()
		compareRotation(t, v, m)
		v.Close()
	}
	if m.rotation.ca != "c" || m.rotation.phase != RotationTrust {
		t.Errorf("it ended with %+v", m.rotation)
	}
}
