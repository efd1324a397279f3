package cluster

import (
	"encoding/binary"
	"time"

	"github.com/hashicorp/go-metrics"
	"github.com/hashicorp/go-msgpack/v2/codec"
	"github.com/hashicorp/raft"
	"go.etcd.io/bbolt"
)

// entriesBucket is where raft-boltdb keeps the log, an entry each under its index.
const entriesBucket = "logs"

// entryFormat is what raft-boltdb writes entries in. It learns a type once; raft-boltdb, which
// makes a new one for each entry that it reads, spends most of the time on that.
var entryFormat = &codec.MsgpackHandle{}

// entry is raft-boltdb's GetLog, but for the time that it takes.
func (p *mappedPages) entry(index uint64, e *raft.Log) error {
	defer metrics.MeasureSince([]string{"raft", "boltdb", "getLog"}, time.Now())
	return p.db.View(func(tx *bbolt.Tx) error {
		stored := tx.Bucket([]byte(entriesBucket)).Get(binary.BigEndian.AppendUint64(nil, index))
		if stored == nil {
			return raft.ErrLogNotFound
		}
		return codec.NewDecoderBytes(stored, entryFormat).Decode(e)
	})
}
