package storage

// Metrics are figures of one database at one moment.
type Metrics struct {
	DiskBytes      uint64 // all files, those not yet deleted included
	MemtableBytes  uint64
	CacheBytes     int64
	CacheHits      int64 // block cache lookups since Open
	CacheMisses    int64
	Flushes        int64  // since Open
	Compactions    int64  // since Open
	CompactionDebt uint64 // bytes that compactions have yet to rewrite
	ReadSublevels  int    // levels that a lookup may have to touch
	L0Files        int64
	Tables         int64
	WriteStalls    uint64 // since Open: times that commits had to wait for flushes or compactions
	SlowDisk       uint64 // since Open: operations of the disk that took long
	OpenSnapshots  int
	FormatVersion  uint64 // Pebble's format major version
	TombstoneCount uint64 // deletions that compactions have yet to drop
}

// Metrics takes some locks, but touches no disk.
func (db *DB) Metrics() Metrics {
	m := db.pebble.Metrics()
	total := m.Total()
	return Metrics{
		DiskBytes:      m.DiskSpaceUsage(),
		MemtableBytes:  m.MemTable.Size,
		CacheBytes:     m.BlockCache.Size,
		CacheHits:      m.BlockCache.Hits,
		CacheMisses:    m.BlockCache.Misses,
		Flushes:        m.Flush.Count,
		Compactions:    m.Compact.Count,
		CompactionDebt: m.Compact.EstimatedDebt,
		ReadSublevels:  m.ReadAmp(),
		L0Files:        m.Levels[0].TablesCount,
		Tables:         total.TablesCount,
		WriteStalls:    db.events.stalls.Load(),
		SlowDisk:       db.events.slow.Load(),
		OpenSnapshots:  m.Snapshots.Count,
		FormatVersion:  uint64(db.pebble.FormatMajorVersion()),
		TombstoneCount: m.Keys.TombstoneCount,
	}
}
