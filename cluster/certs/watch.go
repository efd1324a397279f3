package certs

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// WatchInterval is how often the files are looked at, and so how late a change of
// them is noticed.
const WatchInterval = 10 * time.Second

// mark tells a file's contents apart without reading it: a file that is replaced
// is another file, or has another time or size.
type mark struct {
	info os.FileInfo // nil: it isn't there
}

func (a mark) same(b mark) bool {
	if a.info == nil || b.info == nil {
		return a.info == nil && b.info == nil
	}
	return os.SameFile(a.info, b.info) && a.info.ModTime().Equal(b.info.ModTime()) && a.info.Size() == b.info.Size() && a.info.Mode() == b.info.Mode()
}

func (s *Store) marksNow() []mark {
	return marksOf(filepath.Join(s.dir, trustName), filepath.Join(s.dir, nodeName), filepath.Join(s.dir, caName))
}

func marksOf(paths ...string) []mark {
	marks := make([]mark, len(paths))
	for i, path := range paths {
		if info, err := os.Stat(path); err == nil {
			marks[i].info = info
		}
	}
	return marks
}

// Reload reads the files again if they have changed, and says whether they had.
// What isn't right is not put in force: the node goes on with what it has.
func (s *Store) Reload() (changed bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.EqualFunc(s.marksNow(), s.marks, mark.same) {
		return false, nil
	}
	if err := s.read(); err != nil {
		return true, fmt.Errorf("the certificates on the disk aren't in force: %w", err)
	}
	return true, nil
}

// Watch reloads what changes and renews what is due, until ctx is done. It calls
// noticed with what came of either.
func (s *Store) Watch(ctx context.Context, noticed func(error)) {
	tick := time.NewTicker(WatchInterval)
	defer tick.Stop()
	for {
		if changed, err := s.Reload(); changed {
			noticed(err)
		}
		if renewed, err := s.Renew(); renewed || err != nil {
			noticed(err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
