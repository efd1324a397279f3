package faultfs

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// device is by which the kernel passes calls on.
const device = "/dev/fuse"

// namesFor is how long the kernel may remember names and sizes.
const namesFor = time.Second

// Available is nil where such a file system can be mounted, else it says why not.
func Available() error {
	if os.Getuid() != 0 {
		return errors.New("mounting needs root")
	}
	file, err := os.OpenFile(device, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("there is no FUSE: %w", err)
	}
	return file.Close()
}

// Serve mounts a directory over itself, and serves it until it is unmounted or commands
// end. Each command is the Rules to go by from then on, as JSON, and is answered by a line
// with the Counts; so is the mount. What the kernel has in memory of files is forgotten
// with each, so that it asks again.
func Serve(dir string, seed uint64, commands io.Reader, answers io.Writer) error {
	// By its descriptor the directory is still there below the mount.
	below, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { _ = below.Close() }()
	loopback, err := fs.NewLoopbackRoot(fmt.Sprintf("/proc/self/fd/%d", below.Fd()))
	if err != nil {
		return err
	}
	files, ok := loopback.(*fs.LoopbackNode)
	if !ok {
		return fmt.Errorf("the library's root is a %T", loopback)
	}
	root := &node{files, newDisk(seed)}
	remember := namesFor
	server, err := fs.Mount(dir, root, &fs.Options{
		EntryTimeout: &remember,
		AttrTimeout:  &remember,
		MountOptions: fuse.MountOptions{
			FsName: "faultfs", Name: "faultfs", DirectMountStrict: true, DisableXAttrs: true,
			// Else reads and writes would go by us.
			DisabledCapabilities: fuse.CAP_PASSTHROUGH,
		},
	})
	if err != nil {
		return fmt.Errorf("mounting over %s: %w", dir, err)
	}
	ended := make(chan error, 2)
	go func() { server.Wait(); ended <- nil }()
	go func() { ended <- root.obey(commands, answers) }()
	return <-ended
}

func (n *node) obey(commands io.Reader, answers io.Writer) error {
	out := json.NewEncoder(answers)
	if err := out.Encode(n.disk.counted()); err != nil {
		return err
	}
	in := json.NewDecoder(commands)
	for {
		var r Rules
		if err := in.Decode(&r); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		n.disk.set(r)
		if !r.Writes.Hangs { // a page that is being written would have to be awaited
			forget(n.EmbeddedInode())
		}
		if err := out.Encode(n.disk.counted()); err != nil {
			return err
		}
	}
}

// forget has the kernel forget the content of all files.
func forget(dir *fs.Inode) {
	for _, below := range dir.Children() {
		if below.IsDir() {
			forget(below)
		} else {
			_ = below.NotifyContent(0, 0) // one that it doesn't know any more
		}
	}
}
