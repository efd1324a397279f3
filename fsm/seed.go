package fsm

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/hashicorp/raft"

	"pipesync/storage"
)

// Seed is what a state that begins a new cluster has of its own.
type Seed struct {
	ClusterID      string
	Epoch          storage.Epoch // a new one: nothing that followed the old history may go on with this one
	AdminTokenHash [32]byte
	// NodeID is the cluster's only member, its peer port at PeerAddr.
	NodeID   string
	PeerAddr string
}

// SeedFrom fills o.Dir, which must not exist, with the state of a backup, whose
// stream it reads to its end, and with a snapshot from which a node that has
// nothing else starts a cluster of one. Index and term go on where the backup has
// them. When it returns nil all is on disk; a failure may leave some of it there.
func SeedFrom(stream io.Reader, o Options, s Seed) (BackupInfo, error) {
	info, err := seedFrom(stream, o, s)
	if err != nil {
		return BackupInfo{}, fmt.Errorf("seed state from backup: %w", err)
	}
	return info, nil
}

func seedFrom(stream io.Reader, o Options, s Seed) (BackupInfo, error) {
	if err := o.complete(); err != nil {
		return BackupInfo{}, err
	}
	d := disk{o.FS, o.Fatal}
	if err := errors.Join(d.NewDir(o.Dir), d.SyncDir(filepath.Dir(o.Dir))); err != nil {
		return BackupInfo{}, err
	}
	name := databaseName(1)
	header, err := unpackFiles(d, stream, filepath.Join(o.Dir, name))
	if err != nil {
		return BackupInfo{}, err
	}
	if err := writeVersion(d, o.Dir, header.ClusterVersion); err != nil {
		return BackupInfo{}, err
	}
	if _, err := writeCurrent(d, o.Dir, name); err != nil {
		return BackupInfo{}, err
	}
	f, err := Open(o)
	if err != nil {
		return BackupInfo{}, err
	}
	if !header.matches(f.system) {
		err = fmt.Errorf("%w: the database is at entry %d of term %d, its header says %d of %d",
			ErrCorrupt, f.system.AppliedIndex, f.system.AppliedTerm, header.AppliedIndex, header.AppliedTerm)
	} else {
		err = f.becomeSeed(s)
	}
	return header.info(), errors.Join(err, f.Close())
}

// becomeSeed changes the state without an entry, and makes a snapshot of it. That is
// no breach of one apply path: no other node has this epoch, or ever gets its
// state but from this one.
func (f *FSM) becomeSeed(s Seed) error {
	db := f.handle().db
	set, found, err := db.Settings()
	if err != nil {
		return err
	}
	if !found {
		return fmt.Errorf("%w: the state has no settings", ErrCorrupt)
	}
	newToken := set.AdminTokenHash != s.AdminTokenHash
	set.AdminTokenHash = s.AdminTokenHash
	f.system.ClusterID, f.system.Epoch = s.ClusterID, s.Epoch
	batch := db.NewBatch()
	batch.PutSettings(set)
	if newToken { // the first of its cluster's
		batch.DeleteAdminTokenChange()
	}
	// Whoever has the old cluster's keys is no part of this one.
	batch.DeleteGossipRing()
	batch.DeleteCARotation() // it was another cluster's CA
	batch.SetSystem(&f.system)
	if err := errors.Join(batch.Commit(), batch.Close()); err != nil {
		return err
	}
	only := raft.Configuration{Servers: []raft.Server{{
		Suffrage: raft.Voter, ID: raft.ServerID(s.NodeID), Address: raft.ServerAddress(s.PeerAddr),
	}}}
	index, term := f.system.AppliedIndex, f.system.AppliedTerm
	sink, err := f.snapshots.Create(raftSnapshotVersion, index, term, only, index, nil)
	if err != nil {
		return err
	}
	made, err := f.Snapshot()
	if err != nil {
		return errors.Join(err, sink.Cancel())
	}
	defer made.Release()
	return made.Persist(sink)
}
