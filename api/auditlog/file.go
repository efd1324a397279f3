package auditlog

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// keptFiles are the one that is written to and those before it: FILE.1 is the newest of
// these.
const keptFiles = 8

// file is the audit log on the disk. One goroutine owns it.
type file struct {
	path     string
	maxBytes int64    // of each of keptFiles
	open     *os.File // nil: it has to be opened first
	bytes    int64    // in it
}

// write appends a line, or nothing of it.
func (f *file) write(line []byte) error {
	if f.open != nil && f.bytes > 0 && f.bytes+int64(len(line)) > f.maxBytes {
		if err := f.rotate(); err != nil {
			return err
		}
	}
	if f.open == nil {
		if err := f.reopen(); err != nil {
			return err
		}
	}
	n, err := f.open.Write(line)
	if err == nil {
		f.bytes += int64(n)
		return nil
	}
	// Half a line would spoil the next one, too.
	err = errors.Join(err, f.open.Truncate(f.bytes))
	return errors.Join(err, f.close())
}

func (f *file) reopen() error {
	if err := os.MkdirAll(filepath.Dir(f.path), 0o700); err != nil {
		return err
	}
	open, err := os.OpenFile(f.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	info, err := open.Stat()
	if err != nil {
		return errors.Join(err, open.Close())
	}
	f.open, f.bytes = open, info.Size()
	return nil
}

// rotate makes room: the oldest file goes.
func (f *file) rotate() error {
	if err := f.close(); err != nil {
		return err
	}
	for i := keptFiles - 1; i > 0; i-- {
		from := f.path
		if i > 1 {
			from = fmt.Sprintf("%s.%d", f.path, i-1)
		}
		if err := os.Rename(from, fmt.Sprintf("%s.%d", f.path, i)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// sync makes what was written durable.
func (f *file) sync() error {
	if f.open == nil {
		return nil
	}
	if err := f.open.Sync(); err != nil {
		return errors.Join(err, f.close())
	}
	return nil
}

// close has the next line open the file anew.
func (f *file) close() error {
	if f.open == nil {
		return nil
	}
	open := f.open
	f.open = nil
	return open.Close()
}
