package cluster

import (
	"errors"
	"fmt"
	"sync"
)

// A node that leads takes no writes while less than a watermark is free on one of
// its disks, and hands leadership to a voter that has room: a disk that is really
// full ends the process, and could end all of them at once. Below the watermark
// there is still room for what is under way, and for snapshots and compactions,
// which free some.
const (
	// defaultMinFree is the watermark, or a twentieth of the disk where that is less.
	defaultMinFreeBytes   = 1 << 30
	defaultMinFreeDivisor = 20
	// Once it is low, a disk has room again only with a quarter of the watermark
	// more, so that a node at the edge doesn't refuse every other write.
	roomAgainDivisor = 4
)

// space watches over the room on a node's disks.
type space struct {
	dirs []string
	min  int64 // watermark in bytes; 0: the default
	// probe tells the free bytes of the file system of a directory, of those that
	// this process may use, and all that it has.
	probe func(dir string) (free, total int64, err error)

	mu       sync.Mutex
	low      bool
	tightest room
}

// room is that of one disk in bytes.
type room struct {
	dir         string
	free, total int64
	need        int64 // the watermark
}

func (r room) margin() int64 { return r.free - r.need }

// look probes the disks, and reports whether that has changed anything. A disk
// that can't be probed counts as it did before.
func (s *space) look() (changed bool, err error) {
	var tightest room
	for _, dir := range s.dirs {
		r := room{dir: dir, need: s.min}
		var perr error
		r.free, r.total, perr = s.probe(dir)
		if perr != nil {
			err = errors.Join(err, fmt.Errorf("probing the free space of %s: %w", dir, perr))
			continue
		}
		if r.need == 0 {
			r.need = min(defaultMinFreeBytes, r.total/defaultMinFreeDivisor)
		}
		if tightest.dir == "" || r.margin() < tightest.margin() {
			tightest = r
		}
	}
	if tightest.dir == "" {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.low
	s.tightest = tightest
	if s.low {
		s.low = tightest.margin() < tightest.need/roomAgainDivisor
	} else {
		s.low = tightest.margin() < 0
	}
	return s.low != was, err
}

func (s *space) isLow() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.low
}

// least is the room of the disk that has least above its watermark.
func (s *space) least() (r room, low bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tightest, s.low
}

// refuse is the error of a write that there is no room for, or nil.
func (s *space) refuse() error {
	r, low := s.least()
	if !low {
		return nil
	}
	return fmt.Errorf("%d bytes are free on the leader's disk, writes are refused below %d: %w", r.free, r.need, ErrDiskFull)
}

// disks are the directories to be watched. Those below DataDir may be on disks of
// their own.
func (c *Config) disks() []string {
	if len(c.Disks) > 0 {
		return c.Disks
	}
	return []string{c.DataDir}
}

// lookAtSpace is look with a word in the log.
func (n *Node) lookAtSpace() {
	changed, err := n.space.look()
	if err != nil {
		n.cfg.Logger.Warn("looking for free space", "error", err)
	}
	if !changed {
		return
	}
	r, low := n.space.least()
	if low {
		n.cfg.Logger.Error("the disk is too full: this node takes no writes as leader until there is room", "directory", r.dir, "free_bytes", r.free, "needed_bytes", r.need)
	} else {
		n.cfg.Logger.Info("there is room on the disk again", "free_bytes", r.free)
	}
}
