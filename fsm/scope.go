package fsm

import (
	"slices"
	"strings"

	"pipesync/storage"
)

// KeyActions is a set of what an API key may do.
type KeyActions = storage.KeyActions

// The numbers are part of the format and never reused.
const (
	MayRead            KeyActions = 1 << 0 // namespaces, records, and what was done to them
	MayUpsert          KeyActions = 1 << 1 // in incremental syncs
	MayDelete          KeyActions = 1 << 2 // records, in incremental syncs
	MayFullRefresh     KeyActions = 1 << 3 // whatever the operations of the refresh
	MayDeleteNamespace KeyActions = 1 << 4 // a namespace as a whole

	allKeyActions = MayRead | MayUpsert | MayDelete | MayFullRefresh | MayDeleteNamespace
)

// MaxScopeNames bounds the stores of a scope, and its patterns.
const MaxScopeNames = 64

// Scope is what an API key may do in its organization. What isn't given isn't
// limited: the zero Scope allows everything.
type Scope storage.Scope

// Denial is what a scope doesn't allow: one of Action, Store and Namespace.
type Denial struct {
	Action    KeyActions
	Store     string
	Namespace string
	// Operation is the index of the first operation that is denied, or -1 where
	// it isn't an operation that is.
	Operation int
}

// Allows says whether the scope has any of the actions.
func (s Scope) Allows(any KeyActions) bool { return s.Actions == 0 || s.Actions&any != 0 }

// AllowsStore says whether the scope has the vector store, which need not exist.
func (s Scope) AllowsStore(name string) bool {
	return len(s.Stores) == 0 || slices.Contains(s.Stores, name)
}

// AllowsNamespace says whether a pattern of the scope matches the namespace.
func (s Scope) AllowsNamespace(name string) bool {
	return len(s.Namespaces) == 0 ||
		slices.ContainsFunc(s.Namespaces, func(pattern string) bool { return matches(pattern, name) })
}

// matches says whether name is the pattern or, where that ends in *, begins with
// what comes before. A * anywhere else stands for itself.
func matches(pattern, name string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(name, prefix)
	}
	return name == pattern
}

// Deny returns the first thing about a sync that the scope doesn't allow, or nil.
// It is the one check of the accepting node, the leader and Apply.
func (s Scope) Deny(store string, mode Mode, uses []Use) *Denial {
	switch {
	case mode == FullRefresh && !s.Allows(MayFullRefresh):
		return &Denial{Action: MayFullRefresh, Operation: -1}
	case len(uses) == 0 && s.DenyCheckpoint() != nil:
		return s.DenyCheckpoint()
	case !s.AllowsStore(store):
		return &Denial{Store: store, Operation: -1}
	}
	for _, u := range uses {
		if mode == Incremental && !s.Allows(u.Action.needs()) {
			return &Denial{Action: u.Action.needs(), Operation: u.Index}
		}
		if !s.AllowsNamespace(u.Namespace) {
			return &Denial{Namespace: u.Namespace, Operation: u.Index}
		}
	}
	return nil
}

// DenyCheckpoint is Deny for a checkpoint that is set without operations, or deleted.
func (s Scope) DenyCheckpoint() *Denial {
	if s.Allows(MayUpsert | MayDelete | MayFullRefresh) {
		return nil
	}
	return &Denial{Action: MayUpsert, Operation: -1}
}

// DenyNamespaces is Deny for what is done to whole namespaces of a store.
func (s Scope) DenyNamespaces(action KeyActions, store string, namespaces ...string) *Denial {
	switch {
	case !s.Allows(action):
		return &Denial{Action: action, Operation: -1}
	case !s.AllowsStore(store):
		return &Denial{Store: store, Operation: -1}
	}
	for _, name := range namespaces {
		if !s.AllowsNamespace(name) {
			return &Denial{Namespace: name, Operation: -1}
		}
	}
	return nil
}

func (a Action) needs() KeyActions {
	if a == Upsert {
		return MayUpsert
	}
	return MayDelete
}

// JudgeKey says what becomes of a key at wallTime, in nanoseconds since the Unix
// epoch: OK, KeyRevoked or KeyExpired.
func JudgeKey(k storage.Key, wallTime int64) Outcome {
	switch {
	case k.RevokedAt != 0:
		return KeyRevoked
	case k.ExpiresAt != 0 && wallTime >= k.ExpiresAt:
		return KeyExpired
	}
	return OK
}
