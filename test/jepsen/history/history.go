// Package history is what a run has seen: what clients asked and were told, which
// faults there were, what the nodes said in the end. Checkers read nothing else.
package history

import "time"

// Outcome is what a client knows of an operation that has ended.
type Outcome string

// Outcomes of an operation.
const (
	OK      Outcome = "ok"
	Fail    Outcome = "fail" // certainly not done, and never will be
	Unknown Outcome = "info" // it may have been done, or may be yet
)

// Modes of a sync.
const (
	Incremental = "incremental"
	FullRefresh = "full_refresh"
)

// Op is one operation of one client, its retries included. Times are since the
// beginning of the run, by one monotonic clock.
type Op struct {
	ID       int           `json:"id"`
	Client   int           `json:"client"`
	Org      string        `json:"org"`
	Node     string        `json:"node"` // that was asked last
	Requests int           `json:"requests"`
	Invoked  time.Duration `json:"invoked_ns"`
	Returned time.Duration `json:"returned_ns"` // of an Unknown one: when the client gave up
	Outcome  Outcome       `json:"outcome"`
	Code     string        `json:"code,omitempty"`   // of the error
	KeyID    string        `json:"key_id,omitempty"` // of the API key; empty: the organization's first
	Sync     *Sync         `json:"sync,omitempty"`
	Read     *Read         `json:"read,omitempty"`
}

// Sync is one batch. What is behind Writes is of the reply, and zero without one.
type Sync struct {
	Mode   string  `json:"mode"`
	Key    string  `json:"key,omitempty"` // empty: it was sent once at most
	Writes []Write `json:"writes"`
	// Timestamp is the one that it was sent with, in ms of Unix time; 0: none.
	Timestamp int64 `json:"timestamp_ms,omitempty"`
	// Repeat has a batch sent anew that was acknowledged before.
	Repeat bool `json:"repeat,omitempty"`

	SyncID   string  `json:"sync_id,omitempty"` // also of an Unknown one, if a node has told it
	Index    uint64  `json:"index,omitempty"`
	Replayed bool    `json:"replayed,omitempty"`
	Details  Details `json:"details"`
}

// Write is an upsert of a value that nobody else writes, or with 0 a deletion. Where syncs
// have timestamps, a client may write the same again. With a
// Count it is of so many records, with numbers behind the ID, which nobody reads.
type Write struct {
	Namespace string `json:"namespace"`
	ID        string `json:"id"`
	Value     int64  `json:"value"`
	Count     uint64 `json:"count,omitempty"`
}

// Details are the ids of a batch by net effect.
type Details struct {
	Created   uint64 `json:"created"`
	Updated   uint64 `json:"updated"`
	Unchanged uint64 `json:"unchanged"`
	Removed   uint64 `json:"removed"`
}

// Read is a look at a whole namespace, in one page.
type Read struct {
	Namespace    string   `json:"namespace"`
	Linearizable bool     `json:"linearizable"` // else whatever the node has applied
	Index        uint64   `json:"index,omitempty"`
	Records      []Record `json:"records,omitempty"` // by id
	// Missing has the node say that there is no such namespace: nothing was ever written
	// there. It tells no index then.
	Missing bool `json:"missing,omitempty"`
}

// Record is one of a Read.
type Record struct {
	ID    string `json:"id"`
	Value int64  `json:"value"`
	Index uint64 `json:"index"` // of its last change
}

// Fault is one thing that was done to the cluster.
type Fault struct {
	Kind   string        `json:"kind"`
	On     []string      `json:"on"` // nodes
	Began  time.Duration `json:"began_ns"`
	Healed time.Duration `json:"healed_ns"` // and whatever lasted beside it
	// Proof is how it is known to have had an effect; empty: it had none.
	Proof string `json:"proof,omitempty"`
	// Recovered is when a sync was acknowledged through each node again.
	Recovered time.Duration `json:"recovered_ns"`
}

// Rot is damage that was done to bytes on a node's disk that the node reads some time. One
// of the last three is how that ended; without any of them it has read them since, and gone on.
type Rot struct {
	Node  string        `json:"node"`
	File  string        `json:"file"`  // log, table, manifest or snapshot
	How   string        `json:"how"`   // bit flipped or tail torn
	Place string        `json:"place"` // which bytes
	At    time.Duration `json:"at_ns"`
	// Detected is what the node has said that names the damage.
	Detected string `json:"detected,omitempty"`
	// Repaired is how the node is known to have got from elsewhere what was there.
	Repaired string `json:"repaired,omitempty"`
	// Gone is how the bytes are known to be in use no more before anything has read them.
	Gone string `json:"gone,omitempty"`
}

// Attempt is one at something that a cluster has to refuse.
type Attempt struct {
	What      string        `json:"what"` // "to do something"
	Node      string        `json:"node"`
	At        time.Duration `json:"at_ns"`
	Succeeded bool          `json:"succeeded"`
	Said      string        `json:"said,omitempty"` // by who refused it
}

// Backup is one that was taken and restored.
type Backup struct {
	Node    string        `json:"node"` // that it is of
	Began   time.Duration `json:"began_ns"`
	Index   uint64        `json:"index"`
	Problem string        `json:"problem,omitempty"` // why it couldn't be restored
}

// Crash is of a node, whose disk somebody has looked at before it was started again.
type Crash struct {
	Node    string        `json:"node"`
	At      time.Duration `json:"at_ns"`
	AtLeast uint64        `json:"at_least"` // index of the snapshot behind which the log was cut
	Applied uint64        `json:"applied"`  // index of the state
	Problem string        `json:"problem,omitempty"`
}

// NotRun is a kind of fault that can't be made on this machine.
type NotRun struct {
	Kind string `json:"kind"`
	Why  string `json:"why"`
}

// Key is an API key that was made and revoked during the run.
type Key struct {
	ID       string        `json:"id"`
	Org      string        `json:"org"`
	ReadOnly bool          `json:"read_only,omitempty"` // it may do nothing else
	Made     time.Duration `json:"made_ns"`             // by then
	Revoking time.Duration `json:"revoking_ns"`         // from then on it may be revoked; 0: it never was
	Revoked  time.Duration `json:"revoked_ns"`          // by then it was; 0: nobody knows
	// RevokedIndex is where in the log; 0: nobody knows.
	RevokedIndex uint64 `json:"revoked_index,omitempty"`
}

// Leader is whom a node took for the leader of a term.
type Leader struct {
	Node   string `json:"node"`
	Term   uint64 `json:"term"`
	Leader string `json:"leader"`
	// Seen is when the node was first known to take it for that.
	Seen time.Duration `json:"seen_ns"`
}

// Commit is a sync of an organization's history, as the cluster has it in the end.
type Commit struct {
	Org    string `json:"org"`
	SyncID string `json:"sync_id"`
	Index  uint64 `json:"index"`
	// KeyID is of the API key that it came with.
	KeyID      string   `json:"key_id,omitempty"`
	Namespaces []string `json:"namespaces"`
}

// Final is what one node has in the end.
type Final struct {
	Node  string `json:"node"`
	Index uint64 `json:"index"` // of its scrub
	Hash  string `json:"hash"`  // of all its rows at that index
	// Diverged is what it says of itself where it knows that its state isn't that of the
	// others. Then it tells no hash.
	Diverged string `json:"diverged,omitempty"`
}

// Following is what somebody would be sent, in the end, who follows the changes of an
// organization and has its records as of index After; 0: nothing at all.
type Following struct {
	Node    string   `json:"node"`
	Org     string   `json:"org"`
	After   uint64   `json:"after"`
	Index   uint64   `json:"index"` // of the state
	Changes []Change `json:"changes"`
	// Compacted says that the node has forgotten deletions behind After, and said so.
	Compacted bool `json:"compacted,omitempty"`
	// Reconciling says that not all deletions of a refresh are there yet.
	Reconciling bool `json:"reconciling,omitempty"`
}

// Change is a record as it is now, or that it was deleted.
type Change struct {
	Namespace string `json:"namespace"`
	Record
	Deleted bool `json:"deleted,omitempty"`
}

// History is a whole run.
type History struct {
	Seed    uint64         `json:"seed"`
	Version string         `json:"version"` // what the program says of itself
	Nodes   int            `json:"nodes"`
	Limits  map[string]int `json:"limits"` // syncs in a window, by organization
	Window  time.Duration  `json:"window_ns"`
	Ops     []Op           `json:"ops"` // in the order in which they were invoked
	Faults  []Fault        `json:"faults"`
	NotRun  []NotRun       `json:"not_run,omitempty"`
	Keys    []Key          `json:"keys"`
	// Attempts have to be refused.
	Attempts []Attempt `json:"attempts"`
	Backups  []Backup  `json:"backups"`
	Crashes  []Crash   `json:"crashes"`
	Rots     []Rot     `json:"rots,omitempty"`
	Leaders  []Leader  `json:"leaders"`
	Commits  []Commit  `json:"commits"`
	Finals   []Final   `json:"finals"`
	// Incomplete is why Commits and Finals aren't all that there are; empty: they are.
	Incomplete string      `json:"incomplete,omitempty"`
	Followings []Following `json:"followings"`
}
