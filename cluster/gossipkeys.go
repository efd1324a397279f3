package cluster

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"github.com/hashicorp/memberlist"
)

// GossipKeys are the keys of the members' gossip, as the state machine has them. Its
// methods are called concurrently.
type GossipKeys interface {
	// Ring is what this node has applied.
	Ring() GossipRing
	// First is the body of a proposal that gives the cluster its first key, and does
	// nothing where it has one; nil while not every member may know such an entry.
	First() ([]byte, error)
	// Advance is the body of a proposal that goes on with the rotation that a ring of
	// the revision is in, and does nothing to a ring of another.
	Advance(revision uint64) ([]byte, error)
}

// GossipRing is the keys of 16, 24 or 32 bytes that decrypt gossip, of which the first
// encrypts. With more than one it is on the way to another, and every next ring
// decrypts what members send that have the one before.
type GossipRing struct {
	Revision uint64 // one more with each change; 0: there is none yet
	Keys     [][]byte
}

// keyless is a cluster that has no keys of its own.
type keyless struct{}

func (keyless) Ring() GossipRing               { return GossipRing{} }
func (keyless) First() ([]byte, error)         { return nil, nil }
func (keyless) Advance(uint64) ([]byte, error) { return nil, nil }

// GossipFingerprint tells keys apart without telling them: the first 8 bytes of a
// SHA-256, in hexadecimal.
func GossipFingerprint(key []byte) string {
	sum := sha256.Sum256(slices.Concat([]byte("pipesync gossip key\x00"), key))
	return hex.EncodeToString(sum[:8])
}

// heldRing is the ring that a node gossips with, as it tells others.
type heldRing struct {
	Revision uint64   `json:"revision"`
	Keys     []string `json:"keys"` // fingerprints; the first encrypts
}

func (r GossipRing) held() *heldRing {
	h := &heldRing{Revision: r.Revision, Keys: make([]string, len(r.Keys))}
	for i, k := range r.Keys {
		h.Keys[i] = GossipFingerprint(k)
	}
	return h
}

// install gives a running keyring the keys of ring, which has some. Only ever the last
// key is removed: memberlist reads the others without its lock.
func (r GossipRing) install(keyring *memberlist.Keyring) error {
	primary := r.Keys[0]
	if err := keyring.AddKey(primary); err != nil {
		return err
	}
	if err := keyring.UseKey(primary); err != nil {
		return err
	}
	has := keyring.GetKeys()
	stale := slices.IndexFunc(has, func(k []byte) bool {
		return !slices.ContainsFunc(r.Keys, func(wanted []byte) bool { return bytes.Equal(k, wanted) })
	})
	for last := len(has) - 1; stale > 0 && last >= stale; last-- {
		if err := keyring.RemoveKey(has[last]); err != nil {
			return err
		}
	}
	for _, k := range r.Keys[1:] {
		if err := keyring.AddKey(k); err != nil {
			return err
		}
	}
	return nil
}
