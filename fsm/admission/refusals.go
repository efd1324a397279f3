package admission

import (
	"maps"
	"sync"
	"time"

	"pipesync/fsm"
)

const (
	// refusalsPerMinute is how many syncs of one API key Apply may refuse a minute:
	// each costs a log entry that no rate window counts.
	refusalsPerMinute = 20
	refusalsMinute    = int64(time.Minute)
	refusalInterval   = refusalsMinute / refusalsPerMinute
)

// refusals count, for each API key, the syncs that Apply refused: a bucket of
// refusalsPerMinute, into which one comes back every refusalInterval. It is the
// generic cell rate algorithm (ITU-T I.371), so that one time is all there is to a
// bucket. Keys whose bucket is full have none: so there are no more than have had an
// entry refused in the last two minutes.
type refusals struct {
	mu      sync.Mutex
	fullAt  map[string]int64 // by API key: the cluster time at which its bucket is full again
	sweptAt int64            // cluster time
}

func newRefusals() *refusals { return &refusals{fullAt: map[string]int64{}} }

// left is how many more of key's syncs Apply may refuse, and where that is none, the
// nanoseconds of cluster time until it may refuse one.
func (r *refusals) left(key string, now int64) (n uint32, wait int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	missing := max(0, r.fullAt[key]-now)
	if n = uint32(max(0, refusalsMinute-missing) / refusalInterval); n == 0 {
		wait = missing - refusalsMinute + refusalInterval
	}
	return n, wait
}

// count takes one from key's bucket.
func (r *refusals) count(key string, now int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now-r.sweptAt >= refusalsMinute {
		maps.DeleteFunc(r.fullAt, func(_ string, at int64) bool { return at <= now })
		r.sweptAt = now
	}
	r.fullAt[key] = max(now, r.fullAt[key]) + refusalInterval
}

// isRefusal says whether reply, of an entry, tells that a sync was refused. One whose entry
// omits too much wasn't: this node or another left that out, and proposes all of it.
func isRefusal(reply []byte) bool {
	outcome, err := fsm.DecodeOutcome(reply)
	return err == nil && outcome != fsm.OK && outcome != fsm.Replayed && outcome != fsm.ContentsOmitted
}
