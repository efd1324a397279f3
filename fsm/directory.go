package fsm

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// The directory of a state machine:
//
//	CURRENT          the name of the database in use, and a newline
//	db-0000000001/   a database; a restore makes the next one and moves CURRENT
//	checkpoint-1/    a snapshot that is being persisted
//	snapshots/       see snapshotStore
//	QUARANTINE       why the state must not be used any more
//	VERSION          the cluster version that the databases may have, and a newline; missing: 1
//
// A database that CURRENT doesn't name, and a checkpoint, are left over from a
// process that ended.
const (
	currentName      = "CURRENT"
	currentTemp      = "CURRENT.tmp"
	databasePrefix   = "db-"
	checkpointPrefix = "checkpoint-"
	currentMaxBytes  = 64
)

func databaseName(number uint64) string { return fmt.Sprintf("%s%010d", databasePrefix, number) }

func databaseNumber(name string) (uint64, error) {
	digits, ok := strings.CutPrefix(name, databasePrefix)
	number, err := strconv.ParseUint(digits, 10, 64)
	if !ok || err != nil || databaseName(number) != name {
		return 0, fmt.Errorf("%q is no database's name", name)
	}
	return number, nil
}

// openDir returns the directory of the database in use, which may not exist
// yet, and removes leftovers.
func openDir(d disk, dir string) (string, error) {
	// The directory is as durable as its entry in its parent: without this, all
	// that was ever flushed could go with a crash.
	if err := errors.Join(d.MkdirAll(dir), d.SyncDir(filepath.Dir(dir))); err != nil {
		return "", err
	}
	if err := errors.Join(refuseQuarantined(d, dir), refuseNewer(d, dir)); err != nil {
		return "", err
	}
	name, err := readCurrent(d, dir)
	if errors.Is(err, fs.ErrNotExist) {
		name = databaseName(1)
		err = firstCurrent(d, dir, name)
	} else if err == nil {
		err = refuseOthers(d, dir, name)
	}
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, name), removeLeftovers(d, dir, name)
}

// firstCurrent writes CURRENT before there is a database. One that is there
// already has lost its CURRENT, and may be older or newer than others beside it.
func firstCurrent(d disk, dir, name string) error {
	names, err := d.List(dir)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(names, isDatabase) {
		return fmt.Errorf("%s has databases but no %s: %s", dir, currentName, rotCure)
	}
	_, err = writeCurrent(d, dir, name)
	return err
}

func isDatabase(name string) bool { return strings.HasPrefix(name, databasePrefix) }

// refuseOthers refuses a CURRENT that names a database which isn't there, beside others,
// which would go as leftovers: it is moved only to one that is whole. One bit makes such a name.
func refuseOthers(d disk, dir, current string) error {
	names, err := d.List(dir)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(names, isDatabase) && !slices.Contains(names, current) {
		return fmt.Errorf("read %s: %w: it names %s, which isn't there, beside other databases", filepath.Join(dir, currentName), ErrCorrupt, current)
	}
	return nil
}

func readCurrent(d disk, dir string) (string, error) {
	b, err := d.ReadSmall(filepath.Join(dir, currentName), currentMaxBytes)
	if err != nil {
		return "", err
	}
	name, ok := strings.CutSuffix(string(b), "\n")
	if _, err := databaseNumber(name); err != nil || !ok {
		return "", fmt.Errorf("read %s: %w", filepath.Join(dir, currentName), errors.Join(err, ErrCorrupt))
	}
	return name, nil
}

// writeCurrent makes name the database in use. When it fails with moved true,
// what a crash would find there isn't known.
func writeCurrent(d disk, dir, name string) (moved bool, err error) {
	temp := filepath.Join(dir, currentTemp)
	if err := d.WriteSynced(temp, []byte(name+"\n")); err != nil {
		return false, err
	}
	if err := d.Rename(temp, filepath.Join(dir, currentName)); err != nil {
		return false, err
	}
	return true, d.SyncDir(dir)
}

func removeLeftovers(d disk, dir, current string) error {
	names, err := d.List(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		leftover := name == currentTemp || name == versionTemp || strings.HasPrefix(name, checkpointPrefix) ||
			strings.HasPrefix(name, databasePrefix) && name != current
		if !leftover {
			continue
		}
		if err := d.RemoveAll(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}
