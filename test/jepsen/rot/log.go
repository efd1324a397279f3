package rot

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"unsafe"

	"go.etcd.io/bbolt"
)

// Names in raft.db, which are raft-boltdb's and Raft's.
var (
	entriesBucket   = []byte("logs")
	variablesBucket = []byte("conf")
	currentTerm     = []byte("CurrentTerm")
)

// logTries is how many entries are looked at for one that has data.
const logTries = 100

// LogEntry is the data of any entry of the log in dir, a node's directory, that comes behind
// its newest snapshot: the node reads it when it starts.
func LogEntry(dir string, rng *rand.Rand) (Place, error) {
	return inLog(dir, func(f *logFile) (Place, error) {
		newest, err := newestSnapshot(dir)
		if err != nil {
			return Place{}, err
		}
		entries := f.tx.Bucket(entriesBucket).Cursor()
		first, _ := entries.Seek(binary.BigEndian.AppendUint64(nil, newest.index+1))
		last, _ := f.tx.Bucket(entriesBucket).Cursor().Last()
		if first == nil || last == nil {
			return Place{}, ErrNothing
		}
		from, to := binary.BigEndian.Uint64(first), binary.BigEndian.Uint64(last)
		for range logTries {
			index := from + rng.Uint64N(to-from+1)
			stored := f.tx.Bucket(entriesBucket).Get(binary.BigEndian.AppendUint64(nil, index))
			if data := dataOf(stored); len(data) > 0 {
				p := f.place(data, fmt.Sprintf("entry %d of the log", index), fmt.Sprintf("entry %d of the log in raft.db has rotted", index))
				p.Entry = index
				return p, nil
			}
		}
		return Place{}, ErrNothing
	})
}

// LogVariable is the term that the node has in its log's file. It must be stopped: one that
// runs may write another.
func LogVariable(dir string, _ *rand.Rand) (Place, error) {
	return inLog(dir, func(f *logFile) (Place, error) {
		stored := f.tx.Bucket(variablesBucket).Get(currentTerm)
		if len(stored) == 0 {
			return Place{}, ErrNothing
		}
		// A bucket as small as that is in its parent's page, behind its name, and bbolt gives
		// out a copy.
		name, _ := f.tx.Cursor().Seek(variablesBucket)
		from := f.offset(name)
		page, err := f.read(from, int64(f.db.Info().PageSize)-from%int64(f.db.Info().PageSize))
		if err != nil {
			return Place{}, err
		}
		at := bytes.Index(page, stored)
		if at < 0 {
			return Place{}, ErrNothing
		}
		return Place{File: f.path, Offset: from + int64(at), Length: int64(len(stored)), What: "the term", Told: "CurrentTerm in raft.db has rotted"}, nil
	})
}

// dataOf is the field Data of an entry as raft-boltdb encodes it, in MessagePack: nil for
// none. Of other fields some bits say nothing.
func dataOf(stored []byte) []byte {
	_, rest, found := bytes.Cut(stored, []byte("\xa4Data"))
	if !found || len(rest) < 5 {
		return nil
	}
	var n, head int
	switch b := rest[0]; {
	case b&0xe0 == 0xa0:
		n, head = int(b&0x1f), 1
	case b == 0xc4 || b == 0xd9:
		n, head = int(rest[1]), 2
	case b == 0xc5 || b == 0xda:
		n, head = int(binary.BigEndian.Uint16(rest[1:])), 3
	case b == 0xc6 || b == 0xdb:
		n, head = int(binary.BigEndian.Uint32(rest[1:])), 5
	}
	if n > len(rest)-head {
		return nil
	}
	return rest[head : head+n]
}

// logFile is a copy of raft.db, mapped into memory.
type logFile struct {
	path string // of the original
	db   *bbolt.DB
	tx   *bbolt.Tx
}

// inLog has find look for a place in the log.
func inLog(dir string, find func(*logFile) (Place, error)) (found Place, err error) {
	f := &logFile{path: filepath.Join(dir, "raft", "raft.db")}
	err = scratch(dir, func(aside string) (err error) {
		copied := filepath.Join(aside, "raft.db")
		if err := copyFile(f.path, copied); err != nil {
			return err
		}
		if f.db, err = bbolt.Open(copied, 0o600, &bbolt.Options{ReadOnly: true}); err != nil {
			return err
		}
		err = f.db.View(func(tx *bbolt.Tx) (err error) {
			f.tx = tx
			if tx.Bucket(entriesBucket) == nil || tx.Bucket(variablesBucket) == nil {
				return ErrNothing
			}
			found, err = find(f)
			return err
		})
		return errors.Join(err, f.db.Close())
	})
	return found, err
}

// place is where bytes are that bbolt has given out, which are in the mapped file.
func (f *logFile) place(b []byte, what, told string) Place {
	return Place{File: f.path, Offset: f.offset(b), Length: int64(len(b)), What: what, Told: told}
}

// read reads bytes of the copy.
func (f *logFile) read(from, length int64) ([]byte, error) {
	file, err := os.Open(f.db.Path())
	if err != nil {
		return nil, err
	}
	b := make([]byte, length)
	_, err = file.ReadAt(b, from)
	return b, errors.Join(err, file.Close())
}

func (f *logFile) offset(b []byte) int64 {
	return int64(uintptr(unsafe.Pointer(unsafe.SliceData(b))) - f.db.Info().Data)
}
