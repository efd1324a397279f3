package fsm

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"math/big"
	"slices"
	"sort"

	"pipesync/storage"
)

// model is the state machine in plain maps, for one organization with one
// store: written for clarity, sharing no code with what it checks.
type model struct {
	settings    storage.Settings
	own         storage.Limits // of the organization; 0: the settings'
	clusterTime int64
	admitted    []modelAdmitted
	apiKeys     map[string]*modelAPIKey
	namespaces  map[string]*modelNamespace
	keys        map[storage.KeyHash]modelKey
	requests    map[RequestID]modelKey
	history     []SyncInfo
	checkpoints map[string]storage.PipelineCheckpoint
	tokens      map[string]*modelToken
	version     uint32
	ring        modelRing
	tokenChange storage.AdminTokenChange
	rotation    modelRotation
	keyed       uint64                      // syncs with an idempotency key that were ever applied
	changes     map[storage.Seq]modelChange // the rows of the change index
	horizon     storage.Seq
}

// modelAdmitted is a sync that was admitted: when, in cluster time, and its bytes.
type modelAdmitted struct {
	at    int64
	bytes uint64
}

// modelKey is the first sync that came with an idempotency key.
type modelKey struct {
	request *Sync
	result  *Result
	at      int64
}

type modelNamespace struct {
	generation storage.Generation
	maxTS      int64
	floor      int64
	horizon    int64
	lastIndex  uint64
	updatedAt  int64
	live       map[string]Record // by id
	tombstones map[string]modelTombstone
	changed    map[string]storage.Seq // of live and tombstones
	// refreshed is what the last full refresh brought, by id, if it came with a
	// timestamp; else nil.
	refreshed map[string]storage.Hash
	retired   []modelGeneration // the oldest first
	deleted   bool
}

type modelTombstone struct{ timestamp, buriedAt int64 }

func newModel(limit uint32) *model {
	return &model{
		apiKeys:  map[string]*modelAPIKey{testKey: {}},
		settings: testBootstrap(limit).Settings, namespaces: map[string]*modelNamespace{}, changes: map[storage.Seq]modelChange{},
		keys: map[storage.KeyHash]modelKey{}, requests: map[RequestID]modelKey{},
		checkpoints: map[string]storage.PipelineCheckpoint{}, tokens: map[string]*modelToken{}, version: 1,
		horizon: storage.Seq{Index: testStoreMade},
	}
}

func (m *model) limit() uint32 {
	if m.own.RequestsPerWindow != 0 {
		return m.own.RequestsPerWindow
	}
	return m.settings.RequestsPerWindow
}

func (m *model) limitBytes() uint64 {
	if m.own.BytesPerWindow != 0 {
		return m.own.BytesPerWindow
	}
	return m.settings.BytesPerWindow
}

// windowAt are the syncs in the window at a time.
func (m *model) windowAt(now int64) (in []modelAdmitted) {
	for _, a := range m.admitted {
		if a.at > now-int64(m.settings.WindowMillis)*nanosPerMilli {
			in = append(in, a)
		}
	}
	return in
}

// window are the syncs that count, no more than the limit.
func (m *model) window() (counted []int64) {
	for _, a := range m.windowAt(m.clusterTime) {
		counted = append(counted, a.at)
	}
	return counted[max(0, len(counted)-int(m.limit())):]
}

// rate is what the rate limits say about so many bytes.
func (m *model) rate(bytes uint64, result *Result) {
	if limit := m.limitBytes(); limit > 0 && bytes > limit {
		result.Outcome, result.Sync.Excess = QuotaExceeded, &Excess{QuotaBytesPerWindow, bytes, limit}
		return
	}
	roomFor := func(now int64) (requests, inBytes bool) {
		in, sum := m.windowAt(now), bytes
		for _, a := range in {
			sum += a.bytes
		}
		return len(in) < int(m.limit()), m.limitBytes() == 0 || sum <= m.limitBytes()
	}
	requests, inBytes := roomFor(m.clusterTime)
	if requests && inBytes {
		return
	}
	result.Outcome = RateLimited
	if inBytes {
		return
	}
	for _, a := range m.windowAt(m.clusterTime) { // the next time that there is room is when one leaves
		left := a.at + int64(m.settings.WindowMillis)*nanosPerMilli
		if requests, inBytes := roomFor(left); requests && inBytes {
			result.Sync.RetryMillis = uint32((left - m.clusterTime + nanosPerMilli - 1) / nanosPerMilli)
			return
		}
	}
}

// rawBytes are those of a sync's operations with all contents, before compression.
func rawBytes(s *Sync) uint64 {
	whole := *s
	whole.Operations = slices.Clone(s.Operations)
	whole.RestoreContents()
	body, err := Encode(&whole)
	if err != nil {
		panic(err)
	}
	h, err := DecodeHeader(body)
	if err != nil {
		panic(err)
	}
	return uint64(h.RawBytes)
}

func (m *model) windowResult() Window {
	w := Window{Limit: m.limit(), WindowMillis: m.settings.WindowMillis}
	counted := m.window()
	w.Remaining = w.Limit - uint32(len(counted))
	if len(counted) > 0 {
		nanos := counted[0] + int64(m.settings.WindowMillis)*nanosPerMilli - m.clusterTime
		w.ResetMillis = uint32((nanos + nanosPerMilli - 1) / nanosPerMilli)
	}
	return w
}

func (m *model) sync(s *Sync, index uint64, stamp Stamp) *Result {
	m.clusterTime = max(m.clusterTime, stamp.ClusterTime)
	result := &Result{Outcome: OK, Index: index, Sync: &SyncResult{SyncID: s.SyncID}}
	m.forget()
	if first, ok := m.requests[s.RequestID]; ok {
		return first.result
	}
	if first, ok := m.keys[s.Idempotency.Key]; ok && s.Idempotency.given() {
		if sameSync(first.request, s) {
			sync := *first.result.Sync
			result = &Result{Outcome: Replayed, Index: first.result.Index, Sync: &sync}
		} else {
			result.Outcome = IdempotencyKeyReused
		}
		result.Sync.Window = m.windowResult()
		return result
	}
	if result.Outcome = m.keyOutcome(s, stamp.WallTime); result.Outcome != OK {
		return result
	}
	if m.rate(rawBytes(s), result); result.Outcome != OK {
		result.Sync.Window = m.windowResult()
		return result
	}
	ts := m.timestamp(s, stamp)
	if result.Outcome = m.refusal(s, ts, stamp); result.Outcome == OK && m.needsContents(s, ts) {
		result.Outcome = ContentsOmitted
	}
	// Of namespaces it is known before the rows of records are read.
	early := result.Outcome != IdempotencyStoreFull && !m.rejectsCheckpoint(s) && m.needsRecords(s, ts, stamp)
	if excess := m.excess(s, ts); excess != nil && (result.Outcome == OK || early && excess.Quota >= QuotaNamespaces) {
		result.Outcome, result.Sync.Excess = QuotaExceeded, excess
	}
	if losses := m.losses(s, ts); result.Outcome == OK && s.HasMaxDelete && losses.Removed*100_000 > losses.Live*uint64(s.MaxDelete) {
		result.Outcome, result.Sync.Losses = DeleteGuard, &losses
	}
	if result.Outcome != OK {
		result.Sync.Window = m.windowResult()
		return result
	}
	m.admitted = append(m.admitted, modelAdmitted{m.clusterTime, rawBytes(s)})
	result.Sync.Window = m.windowResult()
	f := modelFlips{index: index, offset: uint32(len(s.Operations)), rows: int(testBounds.FlipRows)}
	for _, name := range m.name(s, ts, result.Sync) {
		ns := m.namespaces[name]
		want := m.outcome(s, index, ts, name)
		compare(&result.Sync.Details, s, name, ts, ns, want)
		was := *ns
		m.bury(s, ts, name)
		ns.live = want
		ns.lastIndex, ns.updatedAt = index, stamp.WallTime
		ns.maxTS = max(ns.maxTS, ts)
		if s.Mode == FullRefresh {
			ns.generation++
			ns.maxTS, ns.floor = ts, ts
			ns.tombstones = map[string]modelTombstone{}
			if ns.refreshed = nil; s.HasTimestamp {
				ns.refreshed = hashes(want)
			}
		}
		ns.deleted = ns.deleted && len(want) == 0
		m.change(s, index, name, &was)
		if s.Mode == FullRefresh {
			m.flip(&f, name, &was)
		}
	}
	m.store(s, index, ts, stamp, result.Sync)
	m.record(s, index, ts, stamp, result.Sync)
	if s.RequestID != (RequestID{}) {
		m.requests[s.RequestID] = modelKey{s, result, m.clusterTime}
	}
	if s.Idempotency.given() {
		m.keys[s.Idempotency.Key] = modelKey{s, result, m.clusterTime}
	}
	return result
}

// store keeps the newest checkpoint of each pipeline.
func (m *model) store(s *Sync, index uint64, ts int64, stamp Stamp, done *SyncResult) {
	if s.Checkpoint == nil {
		return
	}
	if done.CheckpointSkipped = m.checkpointIsStale(s); done.CheckpointSkipped {
		return
	}
	m.checkpoints[s.Checkpoint.Pipeline] = storage.PipelineCheckpoint{
		State: s.Checkpoint.State, SyncID: s.SyncID, Index: index, UpdatedAt: stamp.WallTime,
		Timestamp: max(ts, m.checkpoints[s.Checkpoint.Pipeline].Timestamp),
	}
}

// deleteCheckpoint is a CheckpointDelete.
func (m *model) deleteCheckpoint(c *CheckpointDelete, at Stamp) Outcome {
	m.clusterTime = max(m.clusterTime, at.ClusterTime)
	k, before := m.apiKeys[c.KeyID], len(m.checkpoints)
	if outcome := k.usable(at.WallTime); outcome != OK {
		return outcome
	}
	if readers := MayRead | MayDeleteNamespace; k.scope.Actions != 0 && k.scope.Actions&^readers == 0 {
		return KeyScopeDenied
	}
	delete(m.checkpoints, c.Pipeline)
	if len(m.checkpoints) == before {
		return CheckpointNotFound
	}
	return OK
}

func (m *model) checkpointIsStale(s *Sync) bool {
	return s.Checkpoint != nil && s.HasTimestamp && s.Timestamp < m.checkpoints[s.Checkpoint.Pipeline].Timestamp
}

// record puts an applied sync into the history, from which four are dropped at
// most.
func (m *model) record(s *Sync, index uint64, ts int64, stamp Stamp, done *SyncResult) {
	keep := int64(m.settings.HistoryRetentionSeconds) * second
	for range 4 {
		n := len(m.history)
		if n > 0 && (n >= int(m.settings.HistorySyncsMax) || keep != 0 && m.history[0].StoredAt <= m.clusterTime-keep) {
			m.history = m.history[1:]
		}
	}
	row := storage.History{
		SyncID: s.SyncID, AppliedAt: stamp.WallTime, StoredAt: m.clusterTime, KeyID: s.KeyID, Store: s.Store,
		Mode: byte(s.Mode), Timestamp: ts, Namespaces: uint32(len(done.ByNamespace)),
		HistoryCounts: storage.HistoryCounts(done.Counts),
		Created:       done.Details.Created, Updated: done.Details.Updated,
		Unchanged: done.Details.Unchanged, Removed: done.Details.Removed,
	}
	for _, ns := range done.ByNamespace {
		row.ByNamespace = append(row.ByNamespace, storage.HistoryNamespace{Name: ns.Namespace, HistoryCounts: storage.HistoryCounts(ns.Counts)})
	}
	if s.Checkpoint != nil {
		row.Pipeline, row.CheckpointSkipped = s.Checkpoint.Pipeline, done.CheckpointSkipped
	}
	if row.Keyed = s.Idempotency.given(); row.Keyed {
		row.KeySlot = m.keyed
		m.keyed++
	}
	m.history = append(m.history, SyncInfo{index, row})
}

// forget drops the keys whose time is over.
func (m *model) forget() {
	for key, k := range m.keys {
		if k.at <= m.clusterTime-int64(m.settings.IdempotencyRetentionSeconds)*second {
			delete(m.keys, key)
		}
	}
	for id, q := range m.requests {
		if q.at <= m.clusterTime-600*second {
			delete(m.requests, id)
		}
	}
}

// sameSync compares what a client sends.
func sameSync(a, b *Sync) bool {
	if (a.Checkpoint == nil) != (b.Checkpoint == nil) || a.Checkpoint != nil &&
		(a.Checkpoint.Pipeline != b.Checkpoint.Pipeline || string(a.Checkpoint.State) != string(b.Checkpoint.State)) {
		return false
	}
	if a.MaxDelete != b.MaxDelete || a.HasMaxDelete != b.HasMaxDelete {
		return false
	}
	if a.Mode != b.Mode || a.HasTimestamp != b.HasTimestamp || a.Timestamp != b.Timestamp || a.OnStale != b.OnStale || a.Store != b.Store {
		return false
	}
	return slices.EqualFunc(a.Operations, b.Operations, func(x, y Operation) bool {
		return x.Action == y.Action && x.Namespace == y.Namespace && x.ID == y.ID && string(x.Data) == string(y.Data)
	})
}

func (m *model) timestamp(s *Sync, stamp Stamp) int64 {
	if s.HasTimestamp {
		return s.Timestamp
	}
	ts := stamp.WallTime
	for _, op := range s.Operations {
		if ns := m.namespaces[op.Namespace]; ns != nil {
			ts = max(ts, ns.maxTS)
		}
	}
	return ts
}

// losses counts by going through all records of the namespaces that s names.
func (m *model) losses(s *Sync, ts int64) (l Losses) {
	l.Limit = s.MaxDelete
	for _, name := range s.Outline().Namespaces {
		ns := m.namespaces[name]
		if ns == nil {
			continue
		}
		after := m.outcome(s, 0, ts, name)
		for id := range ns.live {
			l.Live++
			if _, left := after[id]; !left {
				l.Removed++
			}
		}
	}
	return l
}

// refusal is why s isn't admitted, the window apart, or OK.
func (m *model) refusal(s *Sync, ts int64, stamp Stamp) Outcome {
	order := m.outOfOrder(s, ts, stamp)
	full := s.Idempotency.given() && len(m.keys) >= int(m.settings.IdempotencyKeysMax)
	switch {
	case order != OK && !m.needsRecords(s, ts, stamp):
		return order
	case m.rejectsCheckpoint(s):
		return StaleSync
	case full:
		return IdempotencyStoreFull
	}
	return order
}

// needsContents says that s omits one that its record is to get.
func (m *model) needsContents(s *Sync, ts int64) bool {
	decides := map[[2]string]*Operation{}
	for i := range s.Operations {
		decides[[2]string{s.Operations[i].Namespace, s.Operations[i].ID}] = &s.Operations[i]
	}
	for _, op := range decides {
		ns := m.namespaces[op.Namespace]
		if ns == nil {
			ns = &modelNamespace{}
		}
		if rec, live := ns.live[op.ID]; op.Omitted && !ns.stale(op.ID, ts) && (!live || rec.Hash != op.Hash) {
			return true
		}
	}
	return false
}

func (m *model) rejectsCheckpoint(s *Sync) bool {
	return s.OnStale == RejectStale && m.checkpointIsStale(s)
}

// needsRecords says that it takes the rows of records to refuse s.
func (m *model) needsRecords(s *Sync, ts int64, stamp Stamp) bool {
	rows := &model{namespaces: map[string]*modelNamespace{}}
	for name, ns := range m.namespaces {
		bare := *ns
		bare.refreshed = nil
		if len(ns.live)+len(ns.tombstones) > 0 { // a record that is there, and decides nothing
			bare.live, bare.tombstones, bare.horizon = map[string]Record{}, nil, 0
		}
		bare.retired = nil
		rows.namespaces[name] = &bare
	}
	return rows.outOfOrder(s, ts, stamp) == OK
}

func (m *model) outOfOrder(s *Sync, ts int64, stamp Stamp) Outcome {
	if !s.HasTimestamp {
		return m.backlog(s)
	}
	if ts > stamp.WallTime+300*second {
		return TimestampInFuture
	}
	// any says whether an operation meets a namespace like this.
	any := func(is func(op Operation, ns *modelNamespace) bool) bool {
		return slices.ContainsFunc(s.Operations, func(op Operation) bool {
			ns := m.namespaces[op.Namespace]
			return ns != nil && is(op, ns)
		})
	}
	if s.Mode == FullRefresh {
		switch {
		case any(func(_ Operation, ns *modelNamespace) bool { return ts < ns.maxTS }):
			return StaleRefresh
		case any(func(op Operation, ns *modelNamespace) bool {
			return ns.refreshed != nil && ts == ns.floor &&
				!maps.Equal(ns.refreshed, hashes(m.outcome(s, 0, ts, op.Namespace)))
		}):
			return RefreshTimestampReused
		}
		return m.backlog(s)
	}
	forgotten := func(op Operation, ns *modelNamespace) bool {
		return ts >= ns.floor && ns.horizon != 0 && ts <= ns.horizon && !ns.has(op.ID)
	}
	reject := s.OnStale == RejectStale
	switch {
	case reject && any(func(_ Operation, ns *modelNamespace) bool { return ts < ns.floor }):
		return StaleSync
	case any(func(op Operation, ns *modelNamespace) bool {
		return len(ns.live)+len(ns.tombstones) == 0 && forgotten(op, ns)
	}):
		return SyncTooOld
	case reject && any(func(op Operation, ns *modelNamespace) bool { return ns.stale(op.ID, ts) }):
		return StaleSync
	case any(forgotten):
		return SyncTooOld
	}
	return OK
}

func (ns *modelNamespace) has(id string) bool {
	_, live := ns.live[id]
	_, dead := ns.tombstones[id]
	return live || dead
}

func (ns *modelNamespace) stale(id string, ts int64) bool {
	// What isn't there has timestamp 0.
	return ts < ns.floor || ts < ns.live[id].SyncTimestamp || ts < ns.tombstones[id].timestamp
}

func hashes(records map[string]Record) map[string]storage.Hash {
	out := map[string]storage.Hash{}
	for id, rec := range records {
		out[id] = rec.Hash
	}
	return out
}

// bury keeps the tombstones of a namespace in step with an incremental s.
func (m *model) bury(s *Sync, ts int64, name string) {
	ns := m.namespaces[name]
	after := map[string]modelTombstone{}
	for id, tomb := range ns.tombstones {
		after[id] = tomb
	}
	for _, op := range s.Operations {
		if op.Namespace != name || ns.stale(op.ID, ts) {
			continue
		}
		delete(after, op.ID)
		if op.Action == Delete {
			after[op.ID] = modelTombstone{ts, m.clusterTime}
			if old, was := ns.tombstones[op.ID]; was && old.timestamp == ts {
				after[op.ID] = old
			}
		}
	}
	ns.tombstones = after
}

// set is a SettingsSet.
func (m *model) set(c *SettingsSet, stamp Stamp) {
	m.clusterTime = max(m.clusterTime, stamp.ClusterTime)
	for _, f := range c.Figures {
		v := uint32(f.Value)
		switch f.Number {
		case 1:
			m.settings.RequestsPerWindow = v
		case 2:
			m.settings.WindowMillis = v
		case 3:
			m.settings.TombstoneRetentionSeconds = v
		case 4:
			m.settings.IdempotencyRetentionSeconds = v
			m.forget()
		case 5:
			m.settings.IdempotencyKeysMax = v
		case 8:
			m.settings.BytesPerWindow = f.Value
		case 13:
			m.settings.StoreNamespacesMax = f.Value
		case 14:
			m.settings.DeadMemberRemovalSeconds = v
		case 15:
			m.settings.MinVoters = v
		case 6:
			m.settings.HistoryRetentionSeconds = v
		case 7:
			m.settings.HistorySyncsMax = v
		}
	}
}

func (m *model) setLimits(c *LimitsSet, stamp Stamp) {
	m.clusterTime = max(m.clusterTime, stamp.ClusterTime)
	if c.Org == testOrg {
		for _, f := range c.Figures {
			switch f.Number {
			case 1:
				m.own.RequestsPerWindow = uint32(f.Value)
			case 2:
				m.own.BytesPerWindow = f.Value
			case 3:
				m.own.RecordsMax = f.Value
			case 4:
				m.own.BytesMax = f.Value
			case 5:
				m.own.TombstonesMax = f.Value
			case 6:
				m.own.NamespacesMax = f.Value
			}
		}
	}
}

// collect is a Collect that looks at fewer rows than it may.
func (m *model) collect(c *Collect, stamp Stamp) {
	m.clusterTime = max(m.clusterTime, stamp.ClusterTime)
	ns := m.namespaces[c.Namespace]
	if ns == nil || ns.generation != c.Generation || len(ns.retired) > 0 || m.settings.TombstoneRetentionSeconds == 0 {
		return
	}
	for id, tomb := range ns.tombstones {
		inRange := id > c.After && id <= c.Until
		if inRange && tomb.buriedAt <= c.Before && tomb.buriedAt <= m.clusterTime-int64(m.settings.TombstoneRetentionSeconds)*second {
			delete(ns.tombstones, id)
			ns.horizon = max(ns.horizon, tomb.timestamp)
			if before(m.horizon, ns.changed[id]) {
				m.horizon = ns.changed[id]
			}
			delete(ns.changed, id)
		}
	}
}

// name counts the operations and makes missing namespaces.
func (m *model) name(s *Sync, ts int64, out *SyncResult) []string {
	var names []string
	for _, op := range s.Operations {
		i := slices.Index(names, op.Namespace)
		if i < 0 {
			i = len(names)
			names = append(names, op.Namespace)
			out.ByNamespace = append(out.ByNamespace, NamespaceCounts{Namespace: op.Namespace})
		}
		ns := m.namespaces[op.Namespace]
		switch {
		case ns != nil && ns.stale(op.ID, ts):
			out.Counts.Skipped++
			out.ByNamespace[i].Skipped++
		case op.Action == Upsert:
			out.Counts.Upserted++
			out.ByNamespace[i].Upserted++
		default:
			out.Counts.Deleted++
			out.ByNamespace[i].Deleted++
		}
		if ns == nil {
			ns := &modelNamespace{live: map[string]Record{}, tombstones: map[string]modelTombstone{}, generation: 1}
			if s.Mode == FullRefresh {
				ns.generation = 0
			}
			m.namespaces[op.Namespace] = ns
		}
	}
	return names
}

// outcome is what a namespace holds after s, one operation after another.
func (m *model) outcome(s *Sync, index uint64, ts int64, name string) map[string]Record {
	ns := m.namespaces[name]
	if ns == nil {
		ns = &modelNamespace{}
	}
	want := map[string]Record{}
	if s.Mode == Incremental {
		for id, rec := range ns.live {
			want[id] = rec
		}
	}
	for _, op := range s.Operations {
		if op.Namespace != name || ns.stale(op.ID, ts) {
			continue
		}
		delete(want, op.ID)
		if op.Action == Delete {
			continue
		}
		rec := Record{ID: op.ID, Namespace: name, Data: op.Data, SyncTimestamp: ts, SyncID: s.SyncID, Hash: op.Hash, Index: index}
		if old, ok := ns.live[op.ID]; ok && old.Hash == op.Hash {
			rec.Index = old.Index
			if s.Mode == Incremental {
				rec.SyncID = old.SyncID
			}
		}
		want[op.ID] = rec
	}
	return want
}

// compare counts net effects on distinct ids, those apart that are skipped.
func compare(d *Details, s *Sync, name string, ts int64, ns *modelNamespace, now map[string]Record) {
	old := ns.live
	for id := range old {
		if _, ok := now[id]; !ok {
			d.Removed++
		}
	}
	seen := map[string]bool{}
	for _, op := range s.Operations {
		if op.Namespace != name || seen[op.ID] || ns.stale(op.ID, ts) {
			continue
		}
		seen[op.ID] = true
		before, was := old[op.ID]
		after, is := now[op.ID]
		switch {
		case !was && is:
			d.Created++
		case was && is && before.Hash != after.Hash:
			d.Updated++
		case was == is:
			d.Unchanged++
		}
	}
}

func (ns *modelNamespace) info(name string) NamespaceInfo {
	return NamespaceInfo{
		Name: name, Records: uint64(len(ns.live)), Bytes: ns.bytes(), Digest: modelDigest(ns.live),
		Generation: ns.generation, Index: ns.lastIndex, UpdatedAt: ns.updatedAt,
	}
}

func (ns *modelNamespace) bytes() (n uint64) {
	for id, rec := range ns.live {
		n += uint64(len(id) + len(rec.Data) + len(rec.File) + len(rec.SourceSystem) + len(rec.CreatedAt) + len(rec.UpdatedAt))
	}
	return n
}

// excess is the quota that s goes beyond.
func (m *model) excess(s *Sync, ts int64) *Excess {
	had, has := m.usage(), m.wouldHave(s, ts)
	over := func(q Quota, limit, had, has uint64) *Excess {
		if limit > 0 && has > limit && has > had {
			return &Excess{q, has, limit}
		}
		return nil
	}
	rows := had.Records + had.Tombstones
	if has.Records+has.Tombstones > rows {
		rows = 0
	} else {
		rows = has.Tombstones
	}
	return cmp.Or(
		over(QuotaNamespaces, m.own.NamespacesMax, had.Namespaces, has.Namespaces),
		over(QuotaStoreNamespaces, m.settings.StoreNamespacesMax, had.Namespaces, has.Namespaces),
		over(QuotaRecords, m.own.RecordsMax, had.Records, has.Records),
		over(QuotaBytes, m.own.BytesMax, had.Bytes, has.Bytes),
		over(QuotaTombstones, m.own.TombstonesMax, rows, has.Tombstones),
	)
}

// wouldHave is what the organization has after s.
func (m *model) wouldHave(s *Sync, ts int64) storage.Usage {
	after := &model{clusterTime: m.clusterTime, namespaces: map[string]*modelNamespace{}, changes: map[storage.Seq]modelChange{}}
	for name, ns := range m.namespaces {
		copied := *ns
		copied.changed, copied.retired = maps.Clone(ns.changed), slices.Clone(ns.retired)
		after.namespaces[name] = &copied
	}
	f := modelFlips{rows: int(testBounds.FlipRows)}
	for _, name := range after.name(s, ts, &SyncResult{}) {
		ns := after.namespaces[name]
		was := *ns
		ns.deleted = false
		want := after.outcome(s, 0, ts, name)
		after.bury(s, ts, name)
		ns.live = want
		if s.Mode == FullRefresh {
			ns.tombstones = map[string]modelTombstone{}
			after.flip(&f, name, &was)
		}
	}
	return after.usage()
}

// usage is what the organization has, with the digest of its store.
func (m *model) usage() (u storage.Usage) {
	digests := map[string]storage.Digest{}
	for name, ns := range m.namespaces {
		if len(ns.live) > 0 {
			digests[name] = modelDigest(ns.live)
		}
		u.Records += uint64(len(ns.live))
		u.Bytes += ns.bytes()
		u.Tombstones += uint64(len(ns.tombstones))
		if !ns.deleted {
			u.Namespaces++
		}
	}
	u.Digest = modelSum(digests)
	return u
}

func (ns *modelNamespace) records() []Record {
	var list []Record
	for _, rec := range ns.live {
		list = append(list, rec)
	}
	sort.Slice(list, func(i, j int) bool { return list[i].ID < list[j].ID })
	return list
}

func modelDigest(live map[string]Record) storage.Digest {
	hashes := map[string]storage.Digest{}
	for id, rec := range live {
		hashes[id] = storage.Digest(rec.Hash)
	}
	return modelSum(hashes)
}

// modelSum is the digest of what has parts with these hashes.
func modelSum(parts map[string]storage.Digest) (d storage.Digest) {
	sum := new(big.Int)
	for name, part := range parts {
		in := binary.BigEndian.AppendUint32(nil, uint32(len(name)))
		in = append(append(in, name...), part[:]...)
		full := sha256.Sum256(in)
		sum.Add(sum, new(big.Int).SetBytes(full[:16]))
	}
	sum.Mod(sum, new(big.Int).Lsh(big.NewInt(1), 128))
	sum.FillBytes(d[:])
	return d
}
