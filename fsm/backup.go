package fsm

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"pipesync/storage"
)

// BackupInfo says of which moment of which cluster a copy of the state is.
type BackupInfo struct {
	ClusterID      string
	Epoch          storage.Epoch
	ClusterVersion uint32
	AppliedIndex   uint64
	AppliedTerm    uint64
	Files          int
	Bytes          int64 // of the files
}

func (h *snapshotHeader) info() BackupInfo {
	i := BackupInfo{
		ClusterID: h.ClusterID, Epoch: h.Epoch, ClusterVersion: h.ClusterVersion,
		AppliedIndex: h.AppliedIndex, AppliedTerm: h.AppliedTerm, Files: len(h.Files),
	}
	for _, f := range h.Files {
		i.Bytes += f.Size
	}
	return i
}

// Backup is the state between two entries, in files that it shares with the live
// database: they take room of their own only once that has no more use for them. It
// is for one goroutine.
type Backup struct {
	disk   disk
	dir    string
	header snapshotHeader
}

// Backup makes one, to be closed soon. Entries wait for the short while that it
// takes to flush what was written during a first flush. Any goroutine may call it.
// Errors match ErrNotReady or ErrClosed, or are of the disk.
func (f *FSM) Backup() (*Backup, error) {
	if err := f.Flush(); err != nil {
		return nil, fmt.Errorf("back up the state: %w", err)
	}
	h, err := f.acquire()
	if err != nil {
		return nil, fmt.Errorf("back up the state: %w", err)
	}
	b := &Backup{disk: f.disk}
	b.dir, b.header, err = f.checkpoint(h)
	if err == nil {
		if b.header.ClusterID == "" {
			err = fmt.Errorf("%w: there is no state yet", ErrNotReady)
		} else {
			// Only a snapshot forgets the sums of files that it doesn't have.
			b.header.Files, err = h.sums.sumAll(f.disk, b.dir)
		}
		if err != nil {
			err = errors.Join(err, b.Close())
		}
	}
	if err := errors.Join(err, f.release(h)); err != nil {
		return nil, fmt.Errorf("back up the state: %w", err)
	}
	return b, nil
}

// Info says what the backup is of.
func (b *Backup) Info() BackupInfo { return b.header.info() }

// WriteTo writes the stream of a snapshot. Each file is verified as it is read:
// where one has rotted, Options.Fatal is called, as the database may have it too.
func (b *Backup) WriteTo(w io.Writer) (n int64, err error) {
	header, err := b.header.encode()
	if err != nil {
		return 0, fmt.Errorf("write backup: %w", err)
	}
	wrote, err := w.Write(header)
	if n = int64(wrote); err != nil {
		return n, fmt.Errorf("write backup: %w", err)
	}
	buf := make([]byte, copyBufferBytes)
	for _, file := range b.header.Files {
		size, sum, err := copySummed(b.disk, w, filepath.Join(b.dir, file.Name), buf)
		n += size
		if err != nil {
			return n, fmt.Errorf("write backup: %s: %w", file.Name, err)
		}
		if bad := file.check(size, sum); bad != nil {
			err := fmt.Errorf("write backup: %w: %w", storage.ErrRot, bad)
			b.disk.fatal(err)
			return n, err
		}
	}
	return n, nil
}

// Close removes the files.
func (b *Backup) Close() error {
	if err := b.disk.RemoveAll(b.dir); err != nil {
		return fmt.Errorf("remove backup's files: %w", err)
	}
	return nil
}

// VerifyBackup reads the stream of a backup to its end. Errors match ErrCorrupt or
// ErrUnknownFormat, or are r's.
func VerifyBackup(r io.Reader) (BackupInfo, error) {
	in := bufio.NewReaderSize(r, copyBufferBytes)
	header, err := readSnapshotHeader(in)
	if err != nil {
		return BackupInfo{}, err
	}
	for _, file := range header.Files {
		if err := copyFromStream(io.Discard, in, file); err != nil {
			return BackupInfo{}, err
		}
	}
	return header.info(), ended(in)
}
