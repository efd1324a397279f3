package faultfs

import (
	"context"
	"path"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// node is a file or directory.
type node struct {
	*fs.LoopbackNode
	disk *disk
}

// WrapChild has all below be nodes as well.
func (n *node) WrapChild(_ context.Context, ops fs.InodeEmbedder) fs.InodeEmbedder {
	if below, ok := ops.(*fs.LoopbackNode); ok {
		return &node{below, n.disk}
	}
	return ops
}

func (n *node) handle(fh fs.FileHandle, name string) fs.FileHandle {
	if file, ok := fh.(*fs.LoopbackFile); ok {
		return &handle{file, n.disk, name}
	}
	return fh
}

func (n *node) name() string { return path.Base(n.Path(nil)) }

func (n *node) Open(ctx context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	if flags&syscall.O_TRUNC != 0 {
		if errno := n.disk.write(n.name()); errno != 0 {
			return nil, 0, errno
		}
	}
	fh, fuseFlags, errno := n.LoopbackNode.Open(ctx, flags)
	// As with any disk, what the kernel has read it doesn't read again at the next open.
	return n.handle(fh, n.name()), fuseFlags | fuse.FOPEN_KEEP_CACHE, errno
}

func (n *node) Create(ctx context.Context, name string, flags, mode uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	if errno := n.disk.write(name); errno != 0 {
		return nil, nil, 0, errno
	}
	inode, fh, fuseFlags, errno := n.LoopbackNode.Create(ctx, name, flags, mode, out)
	return inode, n.handle(fh, name), fuseFlags, errno
}

func (n *node) Mkdir(ctx context.Context, name string, mode uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	if errno := n.disk.write(name); errno != 0 {
		return nil, errno
	}
	return n.LoopbackNode.Mkdir(ctx, name, mode, out)
}

func (n *node) Link(ctx context.Context, target fs.InodeEmbedder, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	if errno := n.disk.write(name); errno != 0 {
		return nil, errno
	}
	return n.LoopbackNode.Link(ctx, target, name, out)
}

func (n *node) Rename(ctx context.Context, name string, to fs.InodeEmbedder, newName string, flags uint32) syscall.Errno {
	if errno := n.disk.write(name); errno != 0 {
		return errno
	}
	return n.LoopbackNode.Rename(ctx, name, to, newName, flags)
}

func (n *node) Unlink(ctx context.Context, name string) syscall.Errno {
	if errno := n.disk.write(name); errno != 0 {
		return errno
	}
	return n.LoopbackNode.Unlink(ctx, name)
}

func (n *node) Rmdir(ctx context.Context, name string) syscall.Errno {
	if errno := n.disk.write(name); errno != 0 {
		return errno
	}
	return n.LoopbackNode.Rmdir(ctx, name)
}

func (n *node) Setattr(ctx context.Context, fh fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	if errno := n.disk.write(n.name()); errno != 0 {
		return errno
	}
	return n.LoopbackNode.Setattr(ctx, fh, in, out)
}

func (n *node) OpendirHandle(ctx context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	fh, fuseFlags, errno := n.LoopbackNode.OpendirHandle(ctx, flags)
	if dir, ok := fh.(directory); ok {
		fh = &directoryHandle{dir, n.disk, n.name()}
	}
	return fh, fuseFlags, errno
}

// directory is what the library's handle of one can do.
type directory interface {
	fs.FileReaddirenter
	fs.FileReleasedirer
	fs.FileSeekdirer
	fs.FileFsyncdirer
}

type directoryHandle struct {
	directory
	disk *disk
	name string
}

func (h *directoryHandle) Fsyncdir(ctx context.Context, flags uint32) syscall.Errno {
	if errno := h.disk.sync(h.name); errno != 0 {
		return errno
	}
	return h.directory.Fsyncdir(ctx, flags)
}

// handle is a file that is open.
type handle struct {
	*fs.LoopbackFile
	disk *disk
	name string // when it was opened, without its directory
}

func (h *handle) Read(ctx context.Context, buf []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	if errno := h.disk.read(); errno != 0 {
		return nil, errno
	}
	result, errno := h.LoopbackFile.Read(ctx, buf, off)
	if errno != 0 {
		return nil, errno
	}
	read, status := result.Bytes(buf)
	if !status.Ok() {
		return nil, syscall.Errno(status)
	}
	h.disk.flip(h.name, read)
	return fuse.ReadResultData(read), 0
}

func (h *handle) Write(ctx context.Context, data []byte, off int64) (uint32, syscall.Errno) {
	if errno := h.disk.write(h.name); errno != 0 {
		_, _ = h.LoopbackFile.Write(ctx, data[:len(data)/2], off)
		return 0, errno
	}
	return h.LoopbackFile.Write(ctx, data, off)
}

func (h *handle) Allocate(ctx context.Context, off, size uint64, mode uint32) syscall.Errno {
	if errno := h.disk.write(h.name); errno != 0 {
		return errno
	}
	return h.LoopbackFile.Allocate(ctx, off, size, mode)
}

func (h *handle) Fsync(ctx context.Context, flags uint32) syscall.Errno {
	if errno := h.disk.sync(h.name); errno != 0 {
		return errno
	}
	return h.LoopbackFile.Fsync(ctx, flags)
}
