package main

import (
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"

	"github.com/KimMachineGun/automemlimit/memlimit"

	"pipesync/storage"
)

// Go collects when the heap is twice what the last collection has left, or earlier where
// that would be more than its memory limit. So while little is needed collections are few,
// and while caches are full memory is bounded all the same.
const (
	// workingBytes are for what a node has on Go's heap beside its cache of blocks: the
	// end of the log, requests and entries under way, and what is garbage already.
	workingBytes = 128 << 20
	// Where more is needed, the limit leaves room for one of so many parts of it on top: to
	// keep any limit whatever is needed, Go would collect all the time.
	growthParts = 3
	// One of so many parts of what the control group may have is left to what is no heap.
	groupParts = 10
	liveHeap   = "/gc/heap/live:bytes"
	// tinyBytes are too many for Go to put other things beside them.
	tinyBytes = 32
)

// memoryBounds are for Go's memory limit.
type memoryBounds struct {
	usual int64 // where no more than that is needed
	most  int64
}

// memoryBoundsOf are those of a node. group returns what its control group may have, or an
// error where it may have anything.
func memoryBoundsOf(cacheBytes int64, group func() (uint64, error)) memoryBounds {
	onHeap, apart := storage.CacheShares(cacheBytes)
	b := memoryBounds{usual: onHeap + workingBytes, most: math.MaxInt64}
	if all, err := group(); err == nil && all <= math.MaxInt64 {
		b.most = max(int64(all)-int64(all)/groupParts-apart, workingBytes)
	}
	return b
}

// limit is for the time until the next collection, when the last has left so much.
func (b memoryBounds) limit(live int64) int64 {
	return min(max(b.usual, live+live/growthParts), b.most)
}

// memoryKeeper sets the limit after each collection.
type memoryKeeper struct {
	memoryBounds
	mu    sync.Mutex
	set   int64
	ended bool
}

// keepMemory bounds the memory that Go takes, until stop is called, unless whoever runs the
// program has said by GOGC or GOMEMLIMIT how it is to be done.
func (a *app) keepMemory(cacheBytes int64) (stop func()) {
	if a.getenv("GOGC") != "" || a.getenv("GOMEMLIMIT") != "" {
		return func() {}
	}
	k := &memoryKeeper{memoryBounds: memoryBoundsOf(cacheBytes, memlimit.FromCgroup)}
	return k.start()
}

func (k *memoryKeeper) start() (stop func()) {
	before := debug.SetMemoryLimit(-1)
	k.adjust()
	return func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.ended = true
		debug.SetMemoryLimit(before)
	}
}

// adjust sets the limit now, and is called again by the next collection, which finds
// something that nobody needs.
func (k *memoryKeeper) adjust() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ended {
		return
	}
	sample := []metrics.Sample{{Name: liveHeap}}
	metrics.Read(sample)
	if limit := k.limit(int64(sample[0].Value.Uint64())); limit != k.set {
		k.set = limit
		debug.SetMemoryLimit(limit) // stops the world, for a moment
	}
	runtime.AddCleanup(new([tinyBytes]byte), (*memoryKeeper).adjust, k)
}
