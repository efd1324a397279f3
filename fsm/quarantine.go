package fsm

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"pipesync/storage"
)

// Where a file has rotted, what else has isn't known. The process ends, and
// QUARANTINE keeps the next one from serving what is left until it meets the same
// file again. The files stay as they are, for whoever wants to look at them.
const (
	quarantineName     = "QUARANTINE"
	quarantineMaxBytes = 64 << 10

	rotCure = "remove the node from its cluster, reseed it (pipesync reseed) and have it join again; look after the disk"
)

// fatal ends the process.
func (f *FSM) fatal(err error) {
	if errors.Is(err, storage.ErrRot) {
		err = errors.Join(fmt.Errorf("%w; %s", err, rotCure), f.quarantine(err))
	}
	f.opts.Fatal(err)
}

func (f *FSM) quarantine(why error) error {
	text := why.Error()
	text = text[:min(len(text), quarantineMaxBytes-1)] + "\n"
	err := f.disk.WriteSynced(filepath.Join(f.opts.Dir, quarantineName), []byte(text))
	if err := errors.Join(err, f.disk.SyncDir(f.opts.Dir)); err != nil {
		return fmt.Errorf("write %s: %w", quarantineName, err)
	}
	return nil
}

func refuseQuarantined(d disk, dir string) error {
	path := filepath.Join(dir, quarantineName)
	why, err := d.ReadSmall(path, quarantineMaxBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return errors.Join(err, fmt.Errorf("%s says that the state must not be used: %s%s", path, why, rotCure))
}
