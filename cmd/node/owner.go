package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// giveToOwnerOf gives new files, and directories with all that is in them, to the owner
// of dir, as whom the node runs, where this process is another.
func giveToOwnerOf(dir string, paths ...string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(owner.Uid) == os.Geteuid() {
		return nil
	}
	for _, path := range paths {
		if err := giveTo(owner, path); err != nil {
			return err
		}
	}
	return nil
}

// giveTo follows no link out of the directory of path.
func giveTo(owner *syscall.Stat_t, path string) error {
	root, err := os.OpenRoot(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	return fs.WalkDir(root.FS(), filepath.Base(path), func(name string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return root.Lchown(name, int(owner.Uid), int(owner.Gid))
	})
}
