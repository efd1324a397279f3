package cluster

import (
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// maxFollowersAge is how long the leader's word on how the others follow it counts
// where it was told.
const maxFollowersAge = 10 * time.Second

// replication is how the other members follow this node, as far as their answers in
// the newest term in which it has led show it.
type replication struct {
	mu    sync.Mutex
	term  uint64
	peers map[raft.ServerID]following // never more than were members in that term
}

type following struct {
	heard   time.Time // its last answer
	matches uint64    // up to this entry its log is the leader's, if known
	known   bool
}

func newReplication() *replication { return &replication{peers: map[raft.ServerID]following{}} }

// answered notes an answer. Those of one peer to anything but heartbeats come in the
// order in which they were asked for.
func (r *replication) answered(peer raft.ServerID, args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) {
	if resp.Term != args.Term {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if args.Term < r.term {
		return
	}
	if args.Term > r.term {
		r.term = args.Term
		clear(r.peers)
	}
	f := r.peers[peer]
	f.heard = time.Now()
	switch {
	case isHeartbeat(args): // says nothing of the log
	case resp.Success:
		f.matches, f.known = args.PrevLogEntry+uint64(len(args.Entries)), true
	default: // it lacks PrevLogEntry, or has another there
		f.matches, f.known = min(max(args.PrevLogEntry, 1)-1, resp.LastLog), true
	}
	r.peers[peer] = f
}

// Follower is how a member follows the leader, as the leader sees it.
type Follower struct {
	// Lag is how many entries of the leader's log the member's lacks; nil: the leader
	// doesn't know, since the member has taken none from it yet.
	Lag *uint64 `json:"lag,omitempty"`
	// Silence is how long ago it last answered the leader; nil: not since it leads.
	Silence *time.Duration `json:"silence_nanos,omitempty"`
}

// followers are those of the leader, which this node is in term and whose last entry
// is last; nil: it has heard nobody in term.
func (r *replication) followers(term uint64, last func() uint64) map[string]Follower {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.term != term {
		return nil
	}
	now, told := time.Now(), make(map[string]Follower, len(r.peers))
	end := last() // none of them can have more
	for id, f := range r.peers {
		silence := now.Sub(f.heard)
		follower := Follower{Silence: &silence}
		if f.known {
			lag := end - min(end, f.matches)
			follower.Lag = &lag
		}
		told[string(id)] = follower
	}
	return told
}

// leads is what this node knows as leader of its followers; nil: it doesn't lead.
func (c *core) leads() map[string]Follower {
	term, leader := c.leader()
	if leader != c.self || c.raft.State() != raft.Leader {
		return nil
	}
	followers := c.followers.followers(term, c.raft.LastIndex)
	if followers == nil {
		followers = map[string]Follower{}
	}
	followers[string(c.self)] = Follower{Lag: new(uint64), Silence: new(time.Duration)}
	return followers
}

// heardFollowers is what the leader has told of its followers.
type heardFollowers struct {
	mu     sync.Mutex
	leader string
	at     time.Time
	told   map[string]Follower
}

func (h *heardFollowers) learn(leader string, told map[string]Follower) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.leader, h.at, h.told = leader, time.Now(), told
}

// of is how a member follows the leader, where that has told it lately.
func (h *heardFollowers) of(leader, id string) Follower {
	h.mu.Lock()
	defer h.mu.Unlock()
	age := time.Since(h.at)
	if h.leader != leader || age > maxFollowersAge {
		return Follower{}
	}
	f := h.told[id]
	if f.Silence != nil && id != leader {
		silence := *f.Silence + age
		f.Silence = &silence
	}
	return f
}
