package cluster

import "fmt"

// Reseeded is a node that begins anew.
type Reseeded struct {
	NodeID    string
	ClusterID string // of the cluster that it was a member of
}

// Reseed makes to, an existing directory, that of the node whose directory from is and
// which doesn't run: under the same id, and a member of nothing yet. It has forgotten what it had
// acknowledged and voted for. So its cluster lets it in only once it has been
// taken out there, and it founds none.
func Reseed(from, to string) (Reseeded, error) {
	id, err := readIdentity(from)
	if err != nil {
		return Reseeded{}, fmt.Errorf("beginning anew: %w", err)
	}
	if id.ClusterID == "" {
		return Reseeded{}, fmt.Errorf("beginning anew: node %s is a member of no cluster", id.NodeID)
	}
	done := Reseeded{NodeID: id.NodeID, ClusterID: id.ClusterID}
	return done, identity{Format: identityFormat, NodeID: id.NodeID, ReseededFrom: id.ClusterID}.save(to)
}
