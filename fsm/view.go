package fsm

import (
	"fmt"
	"sync"

	"pipesync/storage"
)

// View is the state between two entries. Its methods may be called by any
// number of goroutines until Close. Their errors are storage's unless they say
// otherwise.
type View struct {
	fsm      *FSM
	handle   *handle
	snapshot *storage.Snapshot
	system   storage.System
	once     sync.Once
}

// Close releases the view. Calling it again does nothing.
func (v *View) Close() {
	v.once.Do(func() {
		err := v.snapshot.Close()
		if err == nil {
			err = v.fsm.release(v.handle)
		}
		if err != nil {
			v.fsm.opts.Logger.Error("closing a view failed", "error", err)
		}
	})
}

// Applied is the Raft index of the last entry in the view.
func (v *View) Applied() uint64 { return v.system.AppliedIndex }

// System is zero before the first entry.
func (v *View) System() storage.System { return v.system }

// Hash is over every key and value of the state: two nodes that have applied the
// same entries have the same. It reads all of them.
func (v *View) Hash() ([32]byte, error) { return v.snapshot.Hash() }

// Settings are missing until the cluster is bootstrapped.
func (v *View) Settings() (storage.Settings, bool, error) { return v.snapshot.Settings() }

// Marks are the last marks in the log, with the chain of this node's state at them.
func (v *View) Marks() (storage.Marks, error) { return v.snapshot.Marks() }

// Key returns the API key with this id, revoked or not.
func (v *View) Key(id string) (Key, bool, error) { return readKey(v.snapshot, id) }

// JoinToken returns the token with this id, used or expired ones included.
func (v *View) JoinToken(id string) (storage.JoinToken, bool, error) { return v.snapshot.JoinToken(id) }

// AdminTokenChange is zero where the cluster's admin token is still its first.
func (v *View) AdminTokenChange() (storage.AdminTokenChange, error) {
	return v.snapshot.AdminTokenChange()
}

// GossipRing is zero before the first key.
func (v *View) GossipRing() (storage.GossipRing, error) { return v.snapshot.GossipRing() }

// CARotation returns the last rotation of the cluster's CA, zero before the first.
func (v *View) CARotation() (storage.CARotation, error) { return v.snapshot.CARotation() }

// Org returns the organization with this name.
func (v *View) Org(name string) (storage.Org, bool, error) { return v.snapshot.Org(name) }

// Store returns a vector store of an organization; false where either is missing.
func (v *View) Store(org, name string) (Store, bool, error) {
	return readStore(v.snapshot, org, name)
}

func readStore(r storage.Reader, org, name string) (Store, bool, error) {
	o, found, err := r.Org(org)
	if err != nil || !found {
		return Store{}, false, err
	}
	return r.Store(o.Num, name)
}

// Window is the rate window of an organization at clusterTime, or at the view's
// own cluster time where that is later, and whether a sync would be admitted
// then. An organization that is missing has an empty window; before bootstrap
// nothing is admitted.
func (v *View) Window(org string, clusterTime int64) (Window, bool, error) {
	w, err := v.rateWindow(org, clusterTime)
	if w == nil || err != nil {
		return Window{}, false, err
	}
	return w.window(), !w.full(), nil
}

// rateWindow is nil before bootstrap.
func (v *View) rateWindow(org string, clusterTime int64) (*rateWindow, error) {
	set, found, err := v.snapshot.Settings()
	if err != nil || !found {
		return nil, err
	}
	o, _, err := v.snapshot.Org(org)
	if err != nil {
		return nil, err
	}
	return readWindow(v.snapshot, o, set, v.effective(clusterTime))
}

// CheckSync decides about a sync, by its header and the outline of its
// operations, as Apply would at the times of a stamp if nothing else came
// first. A Result means that it would be refused (its Index is 0), or that it was
// applied before, under this request id or idempotency key; nil that it
// would be admitted unless the rows of its records refuse it: StaleSync,
// RefreshTimestampReused, SyncTooOld, ContentsOmitted, DeleteGuard and QuotaExceeded (but of
// namespaces) may come from Apply alone. The room, which is there without a Result, is what the
// organization's window has without the sync.
func (v *View) CheckSync(h Header, o Outline, at Stamp) (*Result, Room, error) {
	if h.Kind != KindSync {
		return nil, Room{}, fmt.Errorf("check sync: entry of kind %d", h.Kind)
	}
	if v.system.ClusterID == "" {
		return &Result{Outcome: NotBootstrapped, Sync: &SyncResult{SyncID: h.SyncID}}, Room{}, nil
	}
	at.ClusterTime = v.effective(at.ClusterTime)
	if result, err := recallRequest(v.snapshot, h.RequestID, at.ClusterTime); result != nil || err != nil {
		return result, Room{}, err
	}
	check, err := checkSync(v.snapshot, &h, o, at)
	if err != nil {
		return nil, Room{}, err
	}
	if check.outcome != OK {
		return check.result(&h, 0), Room{}, nil
	}
	return nil, Room{Window: check.window.window(), Bytes: check.window.roomBytes()}, nil
}

// Room is what an organization's rate window would admit.
type Room struct {
	Window Window
	Bytes  uint64 // of operations
}

// effective is the time at which an entry stamped clusterTime would be decided.
func (v *View) effective(clusterTime int64) int64 { return max(clusterTime, v.system.ClusterTime) }
