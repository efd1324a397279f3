package cluster

import (
	"errors"
	"testing"

	"github.com/hashicorp/raft"
	"pgregory.net/rapid"
)

// countedLog counts the entries that are read of it.
type countedLog struct {
	*raft.InmemStore
	reads int
}

func (l *countedLog) GetLog(index uint64, out *raft.Log) error {
	l.reads++
	return l.InmemStore.GetLog(index, out)
}

// TestLogCacheFollowsLog stores, cuts and reads entries as Raft does: what comes from the
// cache is what is in the log.
func TestLogCacheFollowsLog(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		log := &countedLog{InmemStore: raft.NewInmemStore()}
		cache := NewLogCache(log)
		last, term := uint64(0), uint64(1)
		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				var entries []*raft.Log
				for range rapid.IntRange(1, 40).Draw(t, "entries") {
					last++
					entries = append(entries, &raft.Log{Index: last, Term: term, Data: make([]byte, rapid.IntRange(0, 2<<20).Draw(t, "bytes"))})
				}
				if err := cache.StoreLogs(entries); err != nil {
					t.Fatal(err)
				}
			},
			"cut the end": func(t *rapid.T) {
				if last == 0 {
					return
				}
				from := rapid.Uint64Range(max(last, 30)-29, last).Draw(t, "from")
				if err := cache.DeleteRange(from, last); err != nil {
					t.Fatal(err)
				}
				last, term = from-1, term+1
			},
			"": func(t *rapid.T) {
				for i := uint64(0); i <= last+1; i++ {
					var got, want raft.Log
					gotErr, wantErr := cache.GetLog(i, &got), log.InmemStore.GetLog(i, &want)
					if !errors.Is(gotErr, wantErr) || got.Index != want.Index || got.Term != want.Term || len(got.Data) != len(want.Data) {
						t.Fatalf("entry %d of %d: %d of term %d, %v; want %d of term %d, %v", i, last, got.Index, got.Term, gotErr, want.Index, want.Term, wantErr)
					}
				}
			},
		})
	})
}

func TestLogCacheIsBoundedByBytes(t *testing.T) {
	for name, c := range map[string]struct{ bytes, entries, want int }{
		"small entries": {100, 2 * logCacheEntries, logCacheEntries},
		"large entries": {logCacheBytes / 8, 20, 8},
		"huge entries":  {logCacheBytes + 1, 3, 0},
	} {
		t.Run(name, func(t *testing.T) {
			log := &countedLog{InmemStore: raft.NewInmemStore()}
			cache := NewLogCache(log)
			for i := range c.entries {
				if err := cache.StoreLog(&raft.Log{Index: uint64(i + 1), Data: make([]byte, c.bytes)}); err != nil {
					t.Fatal(err)
				}
			}
			for i := range c.entries {
				var e raft.Log
				if err := cache.GetLog(uint64(i+1), &e); err != nil {
					t.Fatal(err)
				}
			}
			if cached := c.entries - log.reads; cached != c.want {
				t.Errorf("%d entries were cached, want %d", cached, c.want)
			}
		})
	}
}
