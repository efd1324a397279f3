package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync/atomic"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
)

// events carries what Pebble has to say to a slog.Logger, and its fatal errors
// to Options.Fatal. It is Pebble's Logger too.
type events struct {
	log    *slog.Logger
	stop   func(error)
	stalls atomic.Uint64
	slow   atomic.Uint64
}

func newEvents(o Options) *events {
	log := o.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &events{log: log, stop: o.Fatal}
}

// fatal doesn't return: Pebble's callers rely on that.
func (e *events) fatal(err error) {
	err = fmt.Errorf("storage failed: %w", corruption(err))
	if errors.Is(err, syscall.ENOSPC) {
		err = fmt.Errorf("%w: the disk is full: make room, then start the node again", err)
	}
	if e.stop != nil {
		e.stop(err)
	}
	panic(err)
}

func (e *events) Infof(format string, args ...any) {
	if e.log.Enabled(context.Background(), slog.LevelDebug) {
		e.log.Debug("pebble: " + fmt.Sprintf(format, args...))
	}
}

func (e *events) Errorf(format string, args ...any) {
	e.log.Error("pebble: " + fmt.Sprintf(format, args...))
}

func (e *events) Fatalf(format string, args ...any) {
	err := fmt.Errorf(format, args...)
	for _, arg := range args {
		if cause, ok := arg.(error); ok && !errors.Is(err, cause) {
			err = fmt.Errorf("%w: %w", err, cause)
		}
	}
	e.fatal(err)
}

func (e *events) listener() *pebble.EventListener {
	return &pebble.EventListener{
		BackgroundError: e.fatal,
		DataCorruption: func(info pebble.DataCorruptionInfo) {
			e.fatal(fmt.Errorf("%s: %w: %w", info.Path, ErrRot, info.Details))
		},
		DiskSlow: e.diskSlow,
		FormatUpgrade: func(v pebble.FormatMajorVersion) {
			e.log.Debug("storage format raised", "version", uint64(v))
		},
		LowDiskSpace: func(info pebble.LowDiskSpaceInfo) {
			e.log.Warn("disk space is low", "available_bytes", info.AvailBytes,
				"total_bytes", info.TotalBytes, "percent_threshold", info.PercentThreshold)
		},
		PossibleAPIMisuse: func(info pebble.PossibleAPIMisuseInfo) {
			e.log.Error("pebble is misused", "event", info.String())
		},
		WriteStallBegin: func(info pebble.WriteStallBeginInfo) {
			e.stalls.Add(1)
			e.log.Warn("writes wait for flushes or compactions", "reason", info.Reason)
		},
	}
}

func (e *events) diskSlow(info pebble.DiskSlowInfo) {
	e.slow.Add(1)
	e.log.Warn("disk is slow", "event", info.String())
}

// missing makes a file that isn't there, of a database that is opened, what it is.
func missing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %w", ErrRot, err)
	}
	return err
}

// corruption makes errors.Is(err, ErrCorrupt) true for Pebble's own corruption
// errors.
func corruption(err error) error {
	if err != nil && pebble.IsCorruptionError(err) && !errors.Is(err, ErrCorrupt) {
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return err
}
