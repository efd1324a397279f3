package cluster

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// RotationPhase is how far a rotation of the cluster's CA has got. A member is done
// with a phase when it has done on its disk what the phase says; the next one begins
// when all members are.
type RotationPhase string

const (
	// RotationTrust: members trust the new CA beside the old one; voters have its key.
	RotationTrust RotationPhase = "trust"
	// RotationIssue: members have certificates of the new CA; voters sign with it.
	RotationIssue RotationPhase = "issue"
	// RotationRetire: members trust no other CA any more.
	RotationRetire RotationPhase = "retire"
	RotationDone   RotationPhase = "done"
)

var rotationPhases = []RotationPhase{RotationTrust, RotationIssue, RotationRetire, RotationDone}

// reached says that p is other, or comes after it.
func (p RotationPhase) reached(other RotationPhase) bool {
	return slices.Index(rotationPhases, p) >= slices.Index(rotationPhases, other)
}

func (p RotationPhase) next() RotationPhase { return rotationPhases[slices.Index(rotationPhases, p)+1] }

// Rotation is the last rotation of the cluster's CA, by the state machine.
type Rotation struct {
	Phase   RotationPhase // empty: none has been begun
	CA      []byte        // the certificate of the new CA, in DER
	BegunAt time.Time
	PhaseAt time.Time // when the phase began
}

func (r Rotation) running() bool { return r.Phase != "" && r.Phase != RotationDone }

func (r Rotation) sum() [sha256.Size]byte { return sha256.Sum256(r.CA) }

func (r Rotation) fingerprint() string { return fmt.Sprintf("%x", r.sum()) }

// Rotations is where the state machine keeps the rotation of the cluster's CA. Its
// methods are called concurrently.
type Rotations interface {
	// Rotation is by the applied state of this node. It fails while that is being
	// replaced.
	Rotation() (Rotation, error)
	// Begin is the body of a proposal that begins a rotation to a CA, by its certificate
	// in DER, where none is running; or, unless replaces is zero, none but one to the
	// CA with that SHA-256 which is in its first phase.
	Begin(ca []byte, replaces [sha256.Size]byte) ([]byte, error)
	// Advance is the body of a proposal that takes the rotation to the CA with that
	// SHA-256 from the phase before to it.
	Advance(ca [sha256.Size]byte, to RotationPhase) ([]byte, error)
	// Decided returns nil if the reply to either says that it is so now. It is
	// ErrClusterTooOld where some member's program may not know rotations.
	Decided(reply []byte) error
}

// noRotations is a cluster whose CA stays.
type noRotations struct{}

func (noRotations) Rotation() (Rotation, error)                     { return Rotation{}, nil }
func (noRotations) Begin([]byte, [sha256.Size]byte) ([]byte, error) { return nil, ErrClusterTooOld }
func (noRotations) Advance([sha256.Size]byte, RotationPhase) ([]byte, error) {
	return nil, ErrClusterTooOld
}
func (noRotations) Decided([]byte) error { return ErrClusterTooOld }

// RotationStatus is a rotation of the cluster's CA as one node sees it.
type RotationStatus struct {
	Phase    RotationPhase
	CA       string // SHA-256 of the new CA's certificate, in hexadecimal
	BegunAt  time.Time
	PhaseAt  time.Time
	Awaiting []AwaitedMember // who isn't done with the phase, by id
}

// AwaitedMember isn't done with the phase of a rotation.
type AwaitedMember struct{ ID, Why string }

// rotationReport is what a member tells the others of a rotation.
type rotationReport struct {
	CA   string        `json:"ca"`             // the new one's fingerprint
	Done RotationPhase `json:"done,omitempty"` // the last phase that it is done with; empty: none
	Key  bool          `json:"key,omitempty"`  // it has the new CA's key
	// Problem is why it isn't done with more, in words.
	Problem string `json:"problem,omitempty"`
}

// maxProblemBytes bounds the words about what keeps a member from going on.
const maxProblemBytes = 512

// rotating is what this node knows of a rotation that is under way.
type rotating struct {
	mu   sync.Mutex
	own  rotationReport
	told map[string]rotationReport // by those that have answered the last question, by id

	// issuing is held while this node gets a certificate: what it asked for first comes
	// first.
	issuing sync.Mutex
}

func (r *rotating) report() rotationReport {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.own
}

// reports are all, this node's own with them.
func (r *rotating) reports(self raft.ServerID) map[string]rotationReport {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := map[string]rotationReport{string(self): r.own}
	for id, told := range r.told {
		all[id] = told
	}
	return all
}

func (r *rotating) learn(told map[string]rotationReport) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.told = told
}

// awaited are the servers that aren't done with the phase of a rotation.
func awaited(servers []raft.Server, r Rotation, reports map[string]rotationReport) []AwaitedMember {
	var who []AwaitedMember
	for _, s := range servers {
		why := ""
		switch told, heard := reports[string(s.ID)]; {
		case !heard:
			why = "it does not answer"
		case told.CA == r.fingerprint() && told.Done.reached(r.Phase):
			continue
		case told.CA == r.fingerprint() && told.Problem != "":
			why = told.Problem
		default:
			why = "it has yet to do it"
		}
		who = append(who, AwaitedMember{ID: string(s.ID), Why: why})
	}
	return who
}

// CARotation is the last rotation of the cluster's CA as this node sees it; nil: there
// was none, or the node can't tell.
func (n *Node) CARotation() *RotationStatus {
	c, err := n.running()
	if err != nil {
		return nil
	}
	r, err := n.cfg.Rotations.Rotation()
	if err != nil || r.Phase == "" {
		return nil
	}
	st := &RotationStatus{Phase: r.Phase, CA: r.fingerprint(), BegunAt: r.BegunAt, PhaseAt: r.PhaseAt}
	if r.running() {
		st.Awaiting = awaited(c.servers(), r, n.rotating.reports(c.self))
	}
	return st
}
