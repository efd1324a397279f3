package fsm

import "pipesync/storage"

// NamespaceInfo describes the live generation of a namespace.
type NamespaceInfo struct {
	Name       string
	Records    uint64
	Bytes      uint64 // sizes of the records
	Digest     storage.Digest
	Generation storage.Generation
	Index      uint64 // Raft index of the last entry that named it
	UpdatedAt  int64  // nanoseconds since the Unix epoch
}

// Record is one live record. A nil slice means that the field was absent. The
// caller owns the slices.
type Record struct {
	ID            string
	Namespace     string
	Data          []byte
	File          []byte
	SourceSystem  []byte
	CreatedAt     []byte
	UpdatedAt     []byte
	SyncTimestamp int64 // nanoseconds since the Unix epoch
	SyncID        string
	Hash          storage.Hash
	Index         uint64 // Raft index of the entry that last changed it
}

// TokenInfo is a join token with its id.
type TokenInfo struct {
	ID string
	storage.JoinToken
}

// Key is an API key.
type Key = storage.Key

// KeyInfo is an API key with its id.
type KeyInfo struct {
	ID string
	Key
}

// Store is a vector store.
type Store = storage.Store

// StoreInfo is a vector store with its name.
type StoreInfo struct {
	Name string
	Store
}

// SyncInfo is a sync of the history.
type SyncInfo struct {
	Index uint64 // Raft index of its entry
	storage.History
}

// Result is what the sync did; without a window, and with the namespaces that
// its row has.
func (s *SyncInfo) Result() *SyncResult { return resultOf(s.History) }

// OrgInfo is an organization with its name.
type OrgInfo struct {
	Name string
	storage.Org
}
