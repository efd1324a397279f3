package cluster

import (
	"fmt"
	"testing"

	"github.com/hashicorp/raft"
)

// BenchmarkStoreLogs appends one entry of a full batch's size at a time, and
// cuts the log behind it, with the seals and without.
func BenchmarkStoreLogs(b *testing.B) {
	for _, kib := range []int{1, 700} {
		for _, sealed := range []bool{false, true} {
			b.Run(fmt.Sprintf("KiB=%d/sealed=%v", kib, sealed), func(b *testing.B) {
				bolt, err := openBolt(b.TempDir())
				if err != nil {
					b.Fatal(err)
				}
				defer bolt.Close()
				var log raft.LogStore = bolt
				if sealed {
					log = &sealedLog{LogStore: bolt}
				}
				e := &raft.Log{Data: make([]byte, kib<<10), Extensions: make([]byte, 30)}
				b.SetBytes(int64(len(e.Data)))
				for b.Loop() {
					e.Index++
					if err := log.StoreLog(e); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkSeal is what the seals cost without the disk.
func BenchmarkSeal(b *testing.B) {
	e := &raft.Log{Index: 1, Data: make([]byte, 700<<10), Extensions: make([]byte, 30)}
	b.SetBytes(int64(len(e.Data)))
	for b.Loop() {
		if err := openEntry(sealEntry(e), 1); err != nil {
			b.Fatal(err)
		}
	}
}
