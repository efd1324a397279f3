package cluster

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/oklog/ulid/v2"

	"pipesync/internal/durable"
)

// identityFormat is the version of identity.json that this program writes.
const identityFormat = 1

const maxIDBytes = 64

// pendingStep is a change of membership that a crash may have interrupted and
// that the next start resumes.
type pendingStep string

const (
	pendingNone      pendingStep = ""
	pendingBootstrap pendingStep = "bootstrap" // the log's first entry may be missing
	pendingJoin      pendingStep = "join"      // a non-voter that has yet to catch up
)

// identity is who a node is, once and for all. It lives in DATA/identity.json,
// apart from the log, so that a wiped log is noticed instead of being taken for
// a new member's (a voter that forgets its votes can elect two leaders).
type identity struct {
	Format    int    `json:"format"`
	NodeID    string `json:"node_id"`
	ClusterID string `json:"cluster_id,omitempty"`
	Founder   bool   `json:"founder,omitempty"`
	Nonvoter  bool   `json:"nonvoter,omitempty"`
	Removed   bool   `json:"removed,omitempty"`
	// ReseededFrom is the cluster that the node was a member of before it began anew;
	// empty once it has joined.
	ReseededFrom string      `json:"reseeded_from,omitempty"`
	Pending      pendingStep `json:"pending,omitempty"`
}

// loadIdentity reads dir's identity, or mints one with nodeID (or a new id if
// that is empty). A nodeID that contradicts the file is an error.
func loadIdentity(dir, nodeID string) (identity, error) {
	id, err := readIdentity(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(filepath.Join(dir, raftDirName, logFileName)); err == nil {
			return identity{}, fmt.Errorf("reading identity: %s holds a log but no identity.json; restore the file, or join from an empty directory", dir)
		}
		if nodeID == "" {
			nodeID = newNodeID()
		}
		id = identity{Format: identityFormat, NodeID: nodeID}
		if err := checkID("node id", nodeID); err != nil {
			return identity{}, err
		}
		return id, id.save(dir)
	}
	if err != nil {
		return identity{}, err
	}
	if nodeID != "" && nodeID != id.NodeID {
		return identity{}, fmt.Errorf("reading identity: the directory belongs to node %q, not to %q", id.NodeID, nodeID)
	}
	return id, nil
}

func readIdentity(dir string) (identity, error) {
	path := filepath.Join(dir, "identity.json")
	raw, err := os.ReadFile(path)
	if err != nil {
		return identity{}, fmt.Errorf("reading identity: %w", err)
	}
	var id identity
	if err := json.Unmarshal(raw, &id); err != nil {
		return identity{}, fmt.Errorf("reading identity: %s: %w", path, err)
	}
	if id.Format > identityFormat || id.Format < 1 {
		return identity{}, fmt.Errorf("reading identity: %s has format %d, this program reads up to %d", path, id.Format, identityFormat)
	}
	if err := checkID("node id", id.NodeID); err != nil {
		return identity{}, fmt.Errorf("reading identity: %s: %w", path, err)
	}
	return id, nil
}

// Membership reads who the node is that dataDir is of, and of which cluster it is a
// member; empty: of none, or of none any more.
func Membership(dataDir string) (nodeID, clusterID string, err error) {
	id, err := readIdentity(dataDir)
	if err != nil {
		return "", "", err
	}
	if id.Removed {
		return id.NodeID, "", nil
	}
	return id.NodeID, id.ClusterID, nil
}

// save replaces the file atomically and durably.
func (id identity) save(dir string) error {
	raw, err := json.MarshalIndent(id, "", "  ")
	if err != nil {
		return fmt.Errorf("writing identity: %w", err)
	}
	if err := durable.Replace(dir, "identity.json", append(raw, '\n')); err != nil {
		return fmt.Errorf("writing identity: %w", err)
	}
	return nil
}

// checkID bounds ids to what is safe in addresses, labels and logs.
func checkID(what, id string) error {
	if id == "" || len(id) > maxIDBytes {
		return fmt.Errorf("%s %q: 1 to %d characters are allowed", what, id, maxIDBytes)
	}
	for _, c := range id {
		if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", c) {
			return fmt.Errorf("%s %q: only letters, digits, '.', '_' and '-' are allowed", what, id)
		}
	}
	return nil
}

// NewClusterID makes an id for a new cluster.
func NewClusterID() string { return "cluster-" + newULID() }

func newNodeID() string { return "node-" + newULID() }

func newULID() string {
	return strings.ToLower(ulid.MustNew(ulid.Now(), rand.Reader).String())
}
