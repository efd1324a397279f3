package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	lockName    = "LOCK"
	maxPIDBytes = 32
	// A process that was killed holds its lock for as long as the kernel takes
	// to clear it away.
	maxLockWait  = 3 * time.Second
	lockInterval = 50 * time.Millisecond
)

// dirLock keeps other processes out of a data directory. The kernel drops it
// with the process, so that a kill -9 leaves nothing to clean up.
type dirLock struct{ file *os.File }

// lockDir makes dir if it is missing, mode 0700, and locks it. It waits at most
// patience for another process to let go.
func lockDir(ctx context.Context, dir string, patience time.Duration) (*dirLock, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EWOULDBLOCK) || pause(ctx, lockInterval) != nil {
			break
		}
	}
	if errors.Is(err, unix.EWOULDBLOCK) {
		pid, _ := io.ReadAll(io.LimitReader(file, maxPIDBytes))
		_ = file.Close()
		return nil, fmt.Errorf("process %s uses %s already: stop it, or give this node its own --data-dir",
			orDash(strings.TrimSpace(string(pid))), dir)
	}
	if err == nil {
		err = file.Truncate(0)
	}
	if err == nil {
		_, err = fmt.Fprintf(file, "%d\n", os.Getpid())
	}
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return &dirLock{file}, nil
}

func (l *dirLock) release() error { return l.file.Close() }
