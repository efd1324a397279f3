package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"pipesync/client"
	"pipesync/fsm"
	"pipesync/fsm/backup"
	"pipesync/internal/durable"
)

func newBackupCommand(a *app) *cobra.Command {
	inspect := &cobra.Command{
		Use:     "inspect FILE|-",
		Short:   "Verify a backup, and say what it is of; no node is needed",
		Example: "  pipesync backup inspect monday.pipesync",
		Args:    exactArgs(1, "the file of a backup, or - for the standard input"),
		RunE: func(cmd *cobra.Command, args []string) error {
			summary, err := a.readBackup(cmd.Context(), args[0], func(state io.Reader) (fsm.BackupInfo, error) {
				return fsm.VerifyBackup(state)
			})
			if err != nil {
				return fmt.Errorf("inspecting %s: %w", args[0], err)
			}
			return a.printBackup(summary)
		},
	}
	cmd := adminCommand(a, &cobra.Command{
		Use:   "backup FILE|-",
		Short: "Write the whole state to a file, from any node, while the cluster goes on",
		Long: `Write the whole state to a file, from any node, while the cluster goes on.

The backup is of one moment, and has every write that was acknowledged before. It
is verified as it comes; the file has its name only once it is complete and on
disk. It is as secret as the records and the hashes of the keys in it.`,
		Example: `  pipesync backup monday.pipesync
  pipesync backup - | ssh elsewhere 'cat > monday.pipesync'`,
		Args: exactArgs(1, "the file to write, or - for the standard output"),
	}, defaultClientTimeout, a.backUp)
	cmd.AddCommand(inspect)
	return cmd
}

// backupSummary is what is known of a backup that was verified.
type backupSummary struct {
	ClusterID      string    `json:"cluster_id"`
	Epoch          string    `json:"epoch"`
	Index          uint64    `json:"index"`
	Term           uint64    `json:"term"`
	ClusterVersion uint32    `json:"cluster_version"`
	MadeAt         time.Time `json:"made_at"`
	Node           string    `json:"node"`
	Version        string    `json:"version"`
	StateBytes     int64     `json:"state_bytes"`
	BackupBytes    int64     `json:"backup_bytes"`
}

func summarize(h backup.Header, info fsm.BackupInfo, size int64) backupSummary {
	return backupSummary{
		ClusterID: info.ClusterID, Epoch: fmt.Sprintf("%x", info.Epoch), Index: info.AppliedIndex, Term: info.AppliedTerm,
		ClusterVersion: info.ClusterVersion, MadeAt: time.Unix(0, h.MadeAt).UTC(), Node: h.Node, Version: h.Version,
		StateBytes: info.Bytes, BackupBytes: size,
	}
}

func (a *app) printBackup(s backupSummary) error {
	return a.print(s, func(w *tabwriter.Writer) {
		fmt.Fprintf(w, "cluster\t%s, epoch %s\n", s.ClusterID, s.Epoch)
		fmt.Fprintf(w, "entry\t%d of term %d, cluster version %d\n", s.Index, s.Term, s.ClusterVersion)
		fmt.Fprintf(w, "made\t%s by %s, %s\n", s.MadeAt.Format(time.RFC3339), s.Node, s.Version)
		fmt.Fprintf(w, "size\t%d bytes, %d of state\n", s.BackupBytes, s.StateBytes)
	})
}

func (a *app) backUp(cmd *cobra.Command, c *client.Client, args []string) error {
	path := args[0]
	if path == "-" {
		_, err := a.takeBackup(cmd.Context(), c, a.stdout)
		return err
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return &exitError{code: exitLocal, err: errors.Join(fmt.Errorf("%s is there already", path), err), hint: "name another file"}
	}
	file, err := os.OpenFile(path+".partial", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("making a file for the backup: %w", err)
	}
	summary, err := a.takeBackup(cmd.Context(), c, file)
	if err == nil {
		err = file.Sync()
	}
	err = errors.Join(err, file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	if err := durable.SyncDir(filepath.Dir(path)); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return a.printBackup(summary)
}

// takeBackup writes a backup to w, and verifies it on its way.
func (a *app) takeBackup(ctx context.Context, c *client.Client, w io.Writer) (backupSummary, error) {
	from, err := c.Backup(ctx)
	if err != nil {
		return backupSummary{}, fmt.Errorf("asking for a backup: %w", err)
	}
	defer func() { _ = from.Body.Close() }()
	p := a.startProgress("backup", from.StateBytes)
	defer p.stop()
	size := &counter{}
	var info fsm.BackupInfo
	h, err := backup.Read(io.TeeReader(from.Body, io.MultiWriter(w, size)), func(state io.Reader) (err error) {
		info, err = fsm.VerifyBackup(io.TeeReader(state, p))
		return err
	})
	if err != nil {
		return backupSummary{}, fmt.Errorf("receiving the backup: %w", err)
	}
	return summarize(h, info, size.n.Load()), nil
}

// readBackup reads the backup in a file, or of the standard input where that is -.
func (a *app) readBackup(ctx context.Context, path string, use func(state io.Reader) (fsm.BackupInfo, error)) (backupSummary, error) {
	in, total := a.stdin, int64(0)
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return backupSummary{}, err
		}
		defer func() { _ = file.Close() }()
		if info, err := file.Stat(); err == nil {
			total = info.Size()
		}
		in = file
	}
	p := a.startProgress("reading the backup", total)
	defer p.stop()
	var info fsm.BackupInfo
	h, err := backup.Read(io.TeeReader(interruptible{ctx, in}, p), func(state io.Reader) (err error) {
		info, err = use(state)
		return err
	})
	return summarize(h, info, p.done.n.Load()), err
}

// interruptible ends with its context.
type interruptible struct {
	ctx context.Context
	r   io.Reader
}

func (i interruptible) Read(b []byte) (int, error) {
	if err := i.ctx.Err(); err != nil {
		return 0, context.Cause(i.ctx)
	}
	return i.r.Read(b)
}
