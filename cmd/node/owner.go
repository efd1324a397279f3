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
		err := filepath.WalkDir(path, func(file string, _ fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			return os.Lchown(file, int(owner.Uid), int(owner.Gid))
		})
		if err != nil {
			return err
		}
	}
	return nil
}
