package cluster

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
)

// bbolt believes what the pages of its file say. Where a page has rotted it panics, in a
// goroutine of its own when it looks for free pages as it opens the file, or follows an
// offset out of the memory that the file is mapped to; and where the newer of its two meta
// pages has rotted it opens what was there one commit before. So what pages say of one
// another is read here first, with care. What they hold is sealed: see seal.go.
//
// Pages are as bbolt has them, in the byte order of the machine:
//
//	page     id (8) │ flags (2): 1 branch, 2 leaf, 4 meta │ count (2) │ further pages that are its own (4) │ elements … │ keys and values …
//	meta     magic (4) │ version (4) │ page size (4) │ flags (4) │ root bucket (16) │ free list (8) │ pages (8) │ commit (8) │ FNV-1a of what is before (8)
//	branch   offset of the key (4) │ its length (4) │ page (8)
//	leaf     flags (4): 1 a bucket │ offset of the key (4) │ its length (4) │ that of the value behind it (4)
//	bucket   root page (8): 0 the page that follows is the bucket's │ sequence (8)
//
// Offsets count from the element. Keys and values follow the elements without a gap, so
// that a count that has rotted shows, which would have the last entries vanish.
const (
	pageHeaderBytes  = 16
	pageElementBytes = 16
	bucketBytes      = 16
	branchPage       = 1
	leafPage         = 2
	bucketLeaf       = 1

	metaPages     = 2
	metaMagic     = 0xed0cdaed
	metaVersion   = 2
	metaSizeAt    = 8
	metaRootAt    = 16
	metaPagesAt   = 40
	metaCommitAt  = 48
	metaSumAt     = 56
	metaBytes     = 64
	minPageBytes  = 1 << 10
	maxPageBytes  = 1 << 24
	maxKeyBytes   = 32 << 10 // as bbolt has it
	maxTreeLevels = 32
)

var order = binary.NativeEndian

// pages are those of a file of bbolt's.
type pages struct {
	file      *os.File
	fileBytes uint64
	pageBytes uint64
	count     uint64 // from here on there are none
	seen      []bool
	used      uint64 // of those that are seen
}

// checkPages makes sure that bbolt can open the file and find its way through it, and says
// how much of it is in no use. A file that isn't there or has nothing in it is none to check.
//
// As it opens the file bbolt walks through it on a goroutine of its own, where a page that
// can't be read ends the process (see mapped). It looks at nothing there but what is read
// here before: pages' heads and keys.
func checkPages(path string) (freeBytes int64, err error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	info, err := file.Stat()
	if err != nil || info.Size() == 0 {
		return 0, err
	}
	p := &pages{file: file, fileBytes: uint64(info.Size())}
	meta, err := p.newestMeta()
	if err == nil {
		err = p.counted(order.Uint64(meta[metaPagesAt:]))
	}
	if err == nil {
		err = p.check(order.Uint64(meta[metaRootAt:]), nil, nil, 0)
	}
	if err != nil && !unreadable(err) {
		err = &rotError{"a page", err}
	}
	return int64((p.count - p.used) * p.pageBytes), err
}

// newestMeta is the one of the last commit. A crash leaves none half written: it is
// within one sector.
func (p *pages) newestMeta() ([]byte, error) {
	for p.pageBytes = minPageBytes; p.pageBytes <= maxPageBytes; p.pageBytes *= 2 {
		if p.fileBytes < metaPages*p.pageBytes {
			break
		}
		first, errFirst := p.meta(0)
		second, errSecond := p.meta(1)
		switch {
		case unreadable(errFirst) || unreadable(errSecond):
			return nil, errors.Join(errFirst, errSecond)
		case errFirst != nil && errSecond != nil:
			continue // it may be of another size
		case errFirst != nil || errSecond != nil:
			return nil, errors.Join(errFirst, errSecond)
		case order.Uint64(first[metaCommitAt:]) > order.Uint64(second[metaCommitAt:]):
			return first, nil
		}
		return second, nil
	}
	return nil, errors.New("neither of the first two is a meta page")
}

func (p *pages) meta(id uint64) ([]byte, error) {
	b, err := p.read(id*p.pageBytes, pageHeaderBytes+metaBytes)
	if err != nil {
		return nil, err
	}
	meta := b[pageHeaderBytes:]
	sum := fnv.New64a()
	_, _ = sum.Write(meta[:metaSumAt])
	if order.Uint32(meta) != metaMagic || order.Uint32(meta[4:]) != metaVersion || uint64(order.Uint32(meta[metaSizeAt:])) != p.pageBytes ||
		order.Uint64(meta[metaSumAt:]) != sum.Sum64() {
		return nil, fmt.Errorf("meta page %d isn't what was written", id)
	}
	return meta, nil
}

// counted takes over how many pages there are.
func (p *pages) counted(count uint64) error {
	if has := p.fileBytes / p.pageBytes; count > has {
		return fmt.Errorf("the file ends after %d of %d pages", has, count)
	}
	p.count, p.seen, p.used = count, make([]bool, count), metaPages
	return nil
}

func (p *pages) read(from, length uint64) ([]byte, error) {
	if from > p.fileBytes || length > p.fileBytes-from {
		return nil, fmt.Errorf("the file ends at byte %d, before byte %d", p.fileBytes, from+length)
	}
	b := make([]byte, length)
	if _, err := p.file.ReadAt(b, int64(from)); err != nil {
		return nil, &unreadableError{err}
	}
	return b, nil
}

// check checks a page and those below it, whose keys are from least on and before end;
// nil: any.
func (p *pages) check(id uint64, least, end []byte, level int) error {
	if id < metaPages || id >= p.count || level > maxTreeLevels {
		return fmt.Errorf("page %d is referred to, at level %d, and there are %d", id, level, p.count)
	}
	header, err := p.read(id*p.pageBytes, p.pageBytes)
	if err != nil {
		return fmt.Errorf("page %d: %w", id, err)
	}
	own := 1 + uint64(order.Uint32(header[12:]))
	switch {
	case order.Uint64(header) != id:
		return fmt.Errorf("page %d says that it is page %d", id, order.Uint64(header))
	case own > p.count-id:
		return fmt.Errorf("page %d goes on for %d pages, and there are %d", id, own, p.count)
	}
	for page := id; page < id+own; page++ {
		if p.seen[page] {
			return fmt.Errorf("page %d is referred to twice", page)
		}
		p.seen[page] = true
	}
	p.used += own
	node := &treeNode{pages: p, id: id, from: id * p.pageBytes, length: own * p.pageBytes, head: header, kind: order.Uint16(header[8:])}
	return node.check(int(order.Uint16(header[10:])), least, end, level)
}

// treeNode is a page with its own further ones, or one within a value.
type treeNode struct {
	pages        *pages
	id           uint64
	from, length uint64 // in the file
	head         []byte // the first of it, which has been read
	kind         uint16
}

func (n *treeNode) check(count int, least, end []byte, level int) error {
	// A bucket may be empty, and have one leaf; bbolt leaves no page empty that another refers to.
	if n.kind != branchPage && n.kind != leafPage || count == 0 && (n.kind == branchPage || least != nil) {
		return fmt.Errorf("page %d is of kind %#x, with %d elements", n.id, n.kind, count)
	}
	elements, err := n.read(pageHeaderBytes, uint64(count)*pageElementBytes)
	if err != nil {
		return err
	}
	keys := make([][]byte, count+1)
	keys[count] = end
	next := uint64(pageHeaderBytes + len(elements)) // bbolt leaves no gaps
	for i := range count {
		at, length := n.keyOf(elements, i)
		if at != next || length > maxKeyBytes {
			return fmt.Errorf("page %d: a key of %d bytes is at byte %d, and the one before ends at %d", n.id, length, at, next)
		}
		if keys[i], err = n.read(at, length); err != nil {
			return err
		}
		next = at + length + n.valueOf(elements, i)
		before, ordered := least, bytes.Compare(least, keys[i]) <= 0
		if i > 0 {
			before, ordered = keys[i-1], bytes.Compare(keys[i-1], keys[i]) < 0
		}
		if !ordered || end != nil && bytes.Compare(keys[i], end) >= 0 {
			return fmt.Errorf("page %d: key %x is after %x and before %x", n.id, keys[i], before, end)
		}
	}
	for i := range count {
		if err := n.below(elements, i, keys[i], keys[i+1], level); err != nil {
			return err
		}
	}
	return nil
}

func (n *treeNode) read(at, length uint64) ([]byte, error) {
	if at > n.length || length > n.length-at {
		return nil, fmt.Errorf("page %d: bytes %d to %d of %d are referred to", n.id, at, at+length, n.length)
	}
	if end := at + length; end <= uint64(len(n.head)) {
		return n.head[at:end:end], nil
	}
	return n.pages.read(n.from+at, length)
}

// keyOf is where the key of element i is.
func (n *treeNode) keyOf(elements []byte, i int) (at, length uint64) {
	e := elements[i*pageElementBytes:]
	if n.kind == leafPage {
		e = e[4:]
	}
	return pageHeaderBytes + uint64(i)*pageElementBytes + uint64(order.Uint32(e)), uint64(order.Uint32(e[4:]))
}

// valueOf is how long the value behind the key of element i is.
func (n *treeNode) valueOf(elements []byte, i int) uint64 {
	if n.kind == branchPage {
		return 0
	}
	return uint64(order.Uint32(elements[i*pageElementBytes+12:]))
}

// below checks what element i refers to.
func (n *treeNode) below(elements []byte, i int, key, next []byte, level int) error {
	e := elements[i*pageElementBytes:]
	if n.kind == branchPage {
		return n.pages.check(order.Uint64(e[8:]), key, next, level+1)
	}
	at, length := n.keyOf(elements, i)
	at, length = at+length, n.valueOf(elements, i)
	switch flags := order.Uint32(e); {
	case at > n.length || length > n.length-at:
		return fmt.Errorf("page %d: a value from byte %d to %d of %d", n.id, at, at+length, n.length)
	case flags == 0:
		return nil
	case flags != bucketLeaf:
		return fmt.Errorf("page %d: flags %#x of key %x", n.id, flags, key)
	}
	bucket, err := n.read(at, bucketBytes)
	if err != nil {
		return err
	}
	if root := order.Uint64(bucket); root != 0 {
		return n.pages.check(root, nil, nil, level+1)
	}
	if length < bucketBytes+pageHeaderBytes {
		return fmt.Errorf("page %d: a bucket of %d bytes", n.id, length)
	}
	header, err := n.read(at+bucketBytes, pageHeaderBytes)
	if err != nil {
		return err
	}
	within := &treeNode{pages: n.pages, id: n.id, from: n.from + at + bucketBytes, length: length - bucketBytes, kind: order.Uint16(header[8:])}
	return within.check(int(order.Uint16(header[10:])), nil, nil, level+1)
}
