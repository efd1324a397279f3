package fsm

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"

	"pipesync/storage"
)

// MaxClusterVersion is the newest version that a cluster may have with this program
// as a member. A version says which kinds of entries there may be in the log, and
// has all those of the versions before. decoders has them.
const MaxClusterVersion = 2

// maxVersion is MaxClusterVersion; tests of this package change it.
var maxVersion uint32 = MaxClusterVersion

// checkVersion fails where what is of a version above maxVersion.
func checkVersion(what string, version uint32) error {
	if version <= maxVersion {
		return nil
	}
	return fmt.Errorf("%s has cluster version %d, this program knows only up to %d; start a newer one: %w",
		what, version, maxVersion, ErrUnknownFormat)
}

// CheckKind tells whether an entry may go to the log of the cluster as the view
// has it. A Result is a refusal: some member may not know its kind, and would
// stop. An error, which matches ErrUnknownFormat, means that this program doesn't
// know what the entry asks for.
func (v *View) CheckKind(h Header, cmd Command) (*Result, error) {
	if raise, ok := cmd.(*VersionRaise); ok {
		if err := checkVersion("the entry", raise.Version); err != nil {
			return nil, err
		}
	}
	if !tooNew(h.Kind, v.system) {
		return nil, nil
	}
	return &Result{Outcome: VersionTooLow}, nil
}

// Admits says whether there may be entries of the kind in the log of the cluster as the
// view has it: false before there is a cluster.
func (v *View) Admits(k Kind) bool { return v.system.ClusterID != "" && !tooNew(k, v.system) }

// tooNew says that some member of the cluster may not know a kind.
func tooNew(k Kind, s storage.System) bool {
	return s.ClusterID != "" && decoders[k].since > s.ClusterVersion
}

// decide raises the version of the cluster, from which on there may be entries
// that older programs don't know.
func (c *VersionRaise) decide(tx *transaction) (*Result, error) {
	if err := checkVersion("the entry", c.Version); err != nil {
		return nil, err
	}
	if c.Version <= tx.system.ClusterVersion {
		return tx.done(false), nil
	}
	// An older program must not open the database, which this entry may be in
	// before it is in any flushed one.
	if err := tx.noteVersion(c.Version); err != nil {
		return nil, fmt.Errorf("raise the cluster's version: %w", err)
	}
	tx.system.ClusterVersion = c.Version
	return tx.done(true), nil
}

// The body of a version raise, after the 22 bytes that all entries share:
//
//	┌─────────┐
//	│ version │
//	│    4    │
//	└─────────┘

func (c *VersionRaise) encode() ([]byte, error) {
	if c.Version == 0 {
		return nil, encodeError("version raise", errNoVersion)
	}
	e := beginEntry(KindVersionRaise, c.RequestID, 4)
	e.u32(c.Version)
	return sealEntry(e.b), nil
}

var errNoVersion = errors.New("cluster version 0")

func decodeVersionRaise(d *decoder, h Header) (*VersionRaise, error) {
	c := &VersionRaise{RequestID: h.RequestID, Version: d.u32("cluster version")}
	if d.err == nil && c.Version == 0 {
		d.fail("%v", errNoVersion)
	}
	return c, d.done()
}

const (
	versionName     = "VERSION"
	versionTemp     = "VERSION.tmp"
	versionMaxBytes = 16
)

// readVersion returns the newest cluster version that the state in dir may have; 1
// where nothing says so.
func readVersion(d disk, dir string) (uint32, error) {
	b, err := d.ReadSmall(filepath.Join(dir, versionName), versionMaxBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return 1, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", versionName, err)
	}
	text, ok := strings.CutSuffix(string(b), "\n")
	version, err := strconv.ParseUint(text, 10, 32)
	if err != nil || !ok {
		return 0, fmt.Errorf("read %s: %w", versionName, errors.Join(err, ErrCorrupt))
	}
	return uint32(version), nil
}

// refuseNewer fails where a newer program has used dir.
func refuseNewer(d disk, dir string) error {
	version, err := readVersion(d, dir)
	if err != nil {
		return err
	}
	return checkVersion("the directory "+dir, version)
}

// writeVersion has the directory say that its state may be of the version. It never
// goes back: what was written may be older than what is said, not newer.
func writeVersion(d disk, dir string, version uint32) error {
	known, err := readVersion(d, dir)
	if err != nil || version <= known {
		return err
	}
	temp := filepath.Join(dir, versionTemp)
	if err := d.WriteSynced(temp, fmt.Appendf(nil, "%d\n", version)); err != nil {
		return err
	}
	if err := d.Rename(temp, filepath.Join(dir, versionName)); err != nil {
		return err
	}
	return d.SyncDir(dir)
}
