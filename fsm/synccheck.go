package fsm

import (
	"errors"
	"fmt"

	"pipesync/internal/planted"
	"pipesync/storage"
)

// syncCheck is what can be decided about a sync without its operations.
type syncCheck struct {
	outcome Outcome
	store   storage.StoreNum
	window  *rateWindow // nil where the organization isn't the key's
	replay  *Result     // where the outcome is Replayed: the first reply, without a window
	// keys and history are there where the outcome is OK.
	keys    *keyMemory
	history *syncHistory
	// checkpoint is what the sync's meets, if it has one.
	checkpoint checkpointCheck
	quotas     quotas
	usage      *usageRows // there where the outcome is OK
	excess     *Excess    // there where the outcome is QuotaExceeded
	// wait, in nanoseconds, is there where bytes make the outcome RateLimited.
	wait int64
	// namespaces are the rows of the names, zero where one is missing. They are
	// there where the outcome is OK.
	namespaces []storage.Namespace
}

// checkSync runs the checks of a sync in their order, down to those that need
// the rows of records. The leader calls it with applied state before the log,
// Apply with the state before the entry, at the entry's effective times. o is of
// the sync's operations. The cluster must be bootstrapped.
func checkSync(r storage.Reader, h *Header, o Outline, at Stamp) (syncCheck, error) {
	set, found, err := r.Settings()
	if err == nil && !found {
		err = fmt.Errorf("%w: no settings", storage.ErrCorrupt)
	}
	org, orgFound, orgErr := r.Org(h.Org)
	if err := errors.Join(err, orgErr); err != nil {
		return syncCheck{}, fmt.Errorf("check sync: %w", err)
	}
	keys := newKeyMemory(r, org.Num, set, at.ClusterTime)
	if h.Idempotency.given() && orgFound {
		c, err := checkRemembered(h, org, set, keys)
		if err != nil || c.outcome != OK {
			return c, err
		}
	}
	outcome, err := checkKey(r, h.KeyID, h.Org, at.WallTime, func(s Scope) *Denial {
		if planted.Is(planted.UnscopedApplies) {
			return nil
		}
		return s.Deny(h.Store, h.Mode, o.Uses)
	})
	switch {
	case err != nil:
		return syncCheck{}, fmt.Errorf("check sync: %w", err)
	case outcome != OK:
		return syncCheck{outcome: outcome}, nil
	case !orgFound:
		return syncCheck{}, fmt.Errorf("check sync: %w: key %s belongs to an organization without a row", storage.ErrCorrupt, h.KeyID)
	}
	store, found, storeErr := r.Store(org.Num, h.Store)
	if planted.Is(planted.WallWindow) {
		at.ClusterTime = at.WallTime
	}
	window, windowErr := readWindow(r, org, set, at.ClusterTime)
	if err := errors.Join(storeErr, windowErr); err != nil {
		return syncCheck{}, fmt.Errorf("check sync: %w", err)
	}
	c := syncCheck{outcome: OK, store: store.Num, window: window, keys: keys,
		history: newSyncHistory(r, org.Num, set, at.ClusterTime),
		quotas:  quotas{limits: limitsOf(org, set), storeNamespaces: set.StoreNamespacesMax}}
	if !found {
		c.outcome = StoreNotFound
		return c, nil
	}
	if err := c.checkWindow(r, h); err != nil {
		return syncCheck{}, fmt.Errorf("check sync: %w", err)
	}
	switch {
	case c.outcome != OK:
	case isFuture(h, at.WallTime):
		c.outcome = TimestampInFuture
	default:
		if c.namespaces, err = readNamespaces(r, store.Num, o.Namespaces); err != nil {
			return syncCheck{}, fmt.Errorf("check sync: %w", err)
		}
		c.outcome = checkOrder(h, c.namespaces)
	}
	if c.outcome == OK {
		if err := c.checkRoom(r, org.Num, h); err != nil {
			return syncCheck{}, fmt.Errorf("check sync: %w", err)
		}
	}
	if c.outcome == OK {
		err = c.checkNamespaces(r, org.Num)
	}
	return c, err
}

// checkWindow decides what the rate window decides about a sync.
func (c *syncCheck) checkWindow(r storage.Reader, h *Header) (err error) {
	bytes := uint64(h.RawBytes)
	switch w := c.window; {
	case w.limitBytes > 0 && bytes > w.limitBytes:
		c.outcome = QuotaExceeded
		c.excess = &Excess{Quota: QuotaBytesPerWindow, Figure: bytes, Limit: w.limitBytes}
	case bytes > w.roomBytes():
		c.outcome = RateLimited
		c.wait, err = w.untilRoom(r, bytes)
	case w.full():
		c.outcome = RateLimited
	}
	return err
}

// checkNamespaces decides what a sync's new namespaces decide, and those that were
// deleted and may be there again.
func (c *syncCheck) checkNamespaces(r storage.Reader, org storage.OrgNum) (err error) {
	if c.usage, err = readUsage(r, org, c.store); err != nil {
		return fmt.Errorf("check sync: %w", err)
	}
	made := uint64(0)
	for i := range c.namespaces {
		if c.namespaces[i].Num == 0 || c.namespaces[i].Deleted {
			made++
		}
	}
	if c.excess = c.quotas.namespaces(c.usage, made); c.excess != nil {
		c.outcome = QuotaExceeded
	}
	return nil
}

// checkRoom decides about what a sync keeps beside its records.
func (c *syncCheck) checkRoom(r storage.Reader, org storage.OrgNum, h *Header) (err error) {
	if h.Checkpoint != nil {
		if c.checkpoint, err = readCheckpoint(r, org, h); err != nil {
			return err
		}
		if c.checkpoint.stale && h.OnStale == RejectStale {
			c.outcome = StaleSync
			return nil
		}
	}
	var full bool
	if h.Idempotency.given() {
		if full, err = c.keys.full(); full {
			c.outcome = IdempotencyStoreFull
		}
	}
	if err == nil && !full && h.Checkpoint != nil {
		if full, err = c.checkpoint.full(r, org); full {
			c.outcome = QuotaExceeded
			c.excess = &Excess{Quota: QuotaCheckpoints, Figure: maxCheckpoints + 1, Limit: maxCheckpoints}
		}
	}
	return err
}

// checkRemembered is the check of a sync whose organization exists and that has
// an idempotency key.
func checkRemembered(h *Header, org storage.Org, set storage.Settings, keys *keyMemory) (c syncCheck, err error) {
	if c.outcome, c.replay, err = keys.lookUp(h.Idempotency); err == nil && c.outcome != OK {
		c.window, err = readWindow(keys.r, org, set, keys.now)
	}
	if err != nil {
		return syncCheck{}, fmt.Errorf("check sync: %w", err)
	}
	return c, nil
}

// checkKey says whether a key of the organization may do what deny looks at.
func checkKey(r storage.Reader, keyID, org string, wall int64, deny func(Scope) *Denial) (Outcome, error) {
	key, found, err := readKey(r, keyID)
	if err != nil {
		return 0, err
	}
	if !found {
		return KeyNotFound, nil
	}
	outcome := JudgeKey(key, wall)
	if outcome == KeyRevoked && planted.Is(planted.RevokedApplies) {
		outcome = OK
	}
	switch {
	case outcome != OK:
		return outcome, nil
	case key.Org != org:
		return OrgMismatch, nil
	case deny(Scope(key.Scope)) != nil:
		return KeyScopeDenied, nil
	}
	return OK, nil
}

// result is the reply to a sync that c refuses or has decided before, or the
// beginning of the one to a sync that it admits.
func (c *syncCheck) result(h *Header, index uint64) *Result {
	if c.replay != nil {
		c.replay.Sync.Window = c.window.window()
		return c.replay
	}
	s := &SyncResult{SyncID: h.SyncID, Excess: c.excess, RetryMillis: wholeMillis(c.wait)}
	if c.window != nil {
		s.Window = c.window.window()
	}
	return &Result{Outcome: c.outcome, Index: index, Sync: s}
}
