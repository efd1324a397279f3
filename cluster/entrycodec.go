package cluster

import (
	"bytes"
	"encoding/binary"

	"github.com/hashicorp/go-msgpack/v2/codec"
	"github.com/hashicorp/raft"
	"go.etcd.io/bbolt"
)

// logBucket is where raft-boltdb keeps the log, an entry each under its key.
func logBucket(tx *bbolt.Tx) *bbolt.Bucket { return tx.Bucket([]byte("logs")) }

func entryKey(index uint64) []byte { return binary.BigEndian.AppendUint64(nil, index) }

// entryFormat is what raft-boltdb writes entries in, and as it does. It learns a type once;
// raft-boltdb, which makes a new one for each entry that it reads, spends most of the time on
// that.
var entryFormat = func() *codec.MsgpackHandle {
	h := &codec.MsgpackHandle{}
	h.TimeNotBuiltin = true
	return h
}()

// commandTail is what an entry of the state machine's ends with: entryFormat has the fields of
// a struct in the order of their names, and Type is the last.
var commandTail = append([]byte("\xa4Type"), byte(raft.LogCommand))

// entry is raft-boltdb's GetLog, but for the time that it takes.
func (p *mappedPages) entry(index uint64, e *raft.Log) error {
	return p.db.View(func(tx *bbolt.Tx) error {
		stored := logBucket(tx).Get(entryKey(index))
		if stored == nil {
			return raft.ErrLogNotFound
		}
		return codec.NewDecoderBytes(stored, entryFormat).Decode(e)
	})
}

// outline tells how many bytes an entry has as it is stored, and whether it is a command, by
// its last bytes alone. Whatever can't be told like that is none.
func (p *mappedPages) outline(index uint64) (storedBytes int64, command bool, err error) {
	err = p.db.View(func(tx *bbolt.Tx) error {
		stored := logBucket(tx).Get(entryKey(index))
		storedBytes, command = int64(len(stored)), bytes.HasSuffix(stored, commandTail)
		return nil
	})
	return storedBytes, command, err
}
