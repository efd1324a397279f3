package fsm

import (
	"fmt"
	"sort"
	"strings"
	"testing"

	"pipesync/storage"
)

// dumped is every row of a state: equal dumps are byte-equal rows, since a row
// has one encoding. Fingerprints are of the ids in dumpIDs, in all generations
// that a namespace ever had, so that leftovers and tombstones show.
type dumped struct {
	System       storage.System
	Marks        storage.Marks
	Settings     storage.Settings
	Orgs         map[string]storage.Org
	Keys         map[string]storage.Key
	OrgKeys      map[string]bool
	Stores       map[string]storage.Store
	Heads        map[string]storage.WindowHead
	Slots        map[string]storage.WindowSlot
	Usage        map[string]storage.Usage
	Namespaces   map[string]storage.Namespace
	Fingerprints map[string]storage.Fingerprint
	Contents     map[string]storage.Content
	Names        map[string]string // of namespaces, by their numbers
	ChangeHeads  map[string]storage.ChangeHead
	Changes      map[string]storage.Change
	KeyHeads     map[string]storage.SlotRange
	KeySlots     map[string]storage.IdempotencySlot
	Remembered   map[string]storage.Idempotency // of the keys in dumpKeys
	History      map[string]storage.History
	HistoryHeads map[string]storage.HistoryHead
	SyncIDs      map[string]uint64                     // of the ids in History
	Checkpoints  map[string]storage.PipelineCheckpoint // of dumpPipelines
	RequestHead  storage.SlotRange
	RequestSlots map[uint64]storage.RequestSlot
	Requests     map[storage.RequestID]storage.Request // of the ids in slots, those that are gone too
}

// dumpKeys are the idempotency keys that tests use together with dump.
var dumpKeys = []string{"k1", "k2", "k3", "k4", "k5"}

// dumpPipelines are the pipelines that tests use together with dump.
var dumpPipelines = []string{"p", "q"}

// dumpIDs are the record ids that tests use together with dump.
var dumpIDs = []string{"a", "b", "c", "d", "e", "f", "g", "h", "z", "zz"}

func dump(t testing.TB, f *FSM) *dumped {
	t.Helper()
	v, err := f.View()
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	d := &dumped{
		System:       v.System(),
		Orgs:         map[string]storage.Org{},
		Keys:         map[string]storage.Key{},
		OrgKeys:      map[string]bool{},
		Stores:       map[string]storage.Store{},
		Heads:        map[string]storage.WindowHead{},
		Slots:        map[string]storage.WindowSlot{},
		Usage:        map[string]storage.Usage{},
		Namespaces:   map[string]storage.Namespace{},
		Fingerprints: map[string]storage.Fingerprint{},
		Contents:     map[string]storage.Content{},
		Names:        map[string]string{},
		ChangeHeads:  map[string]storage.ChangeHead{},
		Changes:      map[string]storage.Change{},
		KeyHeads:     map[string]storage.SlotRange{},
		KeySlots:     map[string]storage.IdempotencySlot{},
		Remembered:   map[string]storage.Idempotency{},
		History:      map[string]storage.History{},
		HistoryHeads: map[string]storage.HistoryHead{},
		SyncIDs:      map[string]uint64{},
		Checkpoints:  map[string]storage.PipelineCheckpoint{},
		RequestSlots: map[uint64]storage.RequestSlot{},
		Requests:     map[storage.RequestID]storage.Request{},
	}
	s := v.snapshot
	d.requests(t, s)
	d.Settings, _, err = s.Settings()
	must(t, err)
	d.Marks, err = s.Marks()
	must(t, err)
	d.usage(t, s, "", 0, 0)
	must(t, s.ScanKeys("", scanAll, func(id string, k storage.Key) error { d.Keys[id] = k; return nil }))
	must(t, s.ScanOrgs("", scanAll, func(org string, o storage.Org) error {
		d.Orgs[org] = o
		d.window(t, s, org, o)
		d.idempotency(t, s, org, o)
		must(t, s.ScanOrgKeys(o.Num, "", scanAll, func(id string) error { d.OrgKeys[org+"/"+id] = true; return nil }))
		d.history(t, s, org, o)
		d.usage(t, s, org, o.Num, 0)
		return s.ScanStores(o.Num, "", scanAll, func(store string, row storage.Store) error {
			d.Stores[store] = row
			d.changes(t, s, store, row.Num)
			d.usage(t, s, org+"/"+store, o.Num, row.Num)
			return s.ScanNamespaces(row.Num, "", scanAll, func(ns string, n storage.Namespace) error {
				d.Namespaces[store+"/"+ns] = n
				d.records(t, s, store+"/"+ns, row.Num, n)
				return nil
			})
		})
	}))
	return d
}

// seemsAt takes from d what every entry moves, whatever it decides.
func (d *dumped) seemsAt(before *dumped) {
	d.System.AppliedIndex, d.System.ClusterTime, d.System.Chain = before.System.AppliedIndex, before.System.ClusterTime, before.System.Chain
}

func (d *dumped) window(t testing.TB, s *storage.Snapshot, org string, o storage.Org) {
	t.Helper()
	head, err := s.WindowHead(o.Num)
	must(t, err)
	d.Heads[org] = head
	for seq := range head.Admitted {
		at, found, err := s.WindowSlot(o.Num, seq)
		must(t, err)
		if found {
			d.Slots[fmt.Sprint(org, "#", seq)] = at
		}
	}
}

func (d *dumped) usage(t testing.TB, s *storage.Snapshot, name string, org storage.OrgNum, store storage.StoreNum) {
	t.Helper()
	u, err := s.Usage(org, store)
	must(t, err)
	d.Usage[name] = u
}

// requests looks for all ids that tests give: see proposed.
func (d *dumped) requests(t testing.TB, s *storage.Snapshot) {
	t.Helper()
	var err error
	d.RequestHead, err = s.RequestHead()
	must(t, err)
	for seq := range d.RequestHead.Next + 1 {
		slot, found, err := s.RequestSlot(seq)
		must(t, err)
		if found {
			d.RequestSlots[seq] = slot
		}
	}
	for n := range 50 {
		id := storage.RequestID(newSync(Incremental).proposed(n).RequestID)
		record, found, err := s.Request(id)
		must(t, err)
		if found {
			d.Requests[id] = record
		}
	}
}

// idempotency looks for every slot that there may ever have been: what is left
// over shows.
func (d *dumped) idempotency(t testing.TB, s *storage.Snapshot, org string, o storage.Org) {
	t.Helper()
	head, err := s.IdempotencyHead(o.Num)
	must(t, err)
	d.KeyHeads[org] = head
	for seq := range head.Next + 1 {
		slot, found, err := s.IdempotencySlot(o.Num, seq)
		must(t, err)
		if found {
			d.KeySlots[fmt.Sprint(org, "#", seq)] = slot
		}
	}
	for _, key := range dumpKeys {
		record, found, err := s.Idempotency(o.Num, HashIdempotencyKey("sync", key))
		must(t, err)
		if found {
			d.Remembered[org+"/"+key] = record
		}
	}
}

func (d *dumped) history(t testing.TB, s *storage.Snapshot, org string, o storage.Org) {
	t.Helper()
	head, err := s.HistoryHead(o.Num)
	must(t, err)
	d.HistoryHeads[org] = head
	for _, pipeline := range dumpPipelines {
		row, found, err := s.PipelineCheckpoint(o.Num, pipeline)
		must(t, err)
		if found {
			d.Checkpoints[org+"/"+pipeline] = row
		}
	}
	must(t, s.ScanHistory(o.Num, 0, scanAll, func(index uint64, h storage.History) error {
		d.History[fmt.Sprint(org, "@", index)] = h
		at, found, err := s.SyncIndex(o.Num, h.SyncID)
		if found {
			d.SyncIDs[org+"/"+h.SyncID] = at
		}
		return err
	}))
}

func (d *dumped) changes(t testing.TB, s *storage.Snapshot, name string, store storage.StoreNum) {
	t.Helper()
	head, err := s.ChangeHead(store)
	must(t, err)
	d.ChangeHeads[name] = head
	must(t, s.ScanChanges(store, storage.Seq{}, scanAll, func(seq storage.Seq, c storage.Change) error {
		d.Changes[fmt.Sprint(name, "@", seq)] = c
		return nil
	}))
	for num := range d.System.NextNamespace + 1 {
		ns, found, err := s.NamespaceName(store, num)
		must(t, err)
		if found {
			d.Names[fmt.Sprint(name, "#", num)] = ns
		}
	}
}

func (d *dumped) records(t testing.TB, s *storage.Snapshot, name string, store storage.StoreNum, n storage.Namespace) {
	t.Helper()
	for gen := storage.Generation(0); gen <= n.Next; gen++ {
		key := func(id string) string { return fmt.Sprint(name, "@", gen, "/", id) }
		must(t, s.Fingerprints(store, n.Num, gen, dumpIDs, func(i int, f storage.Fingerprint, found bool) error {
			if found {
				d.Fingerprints[key(dumpIDs[i])] = f
			}
			return nil
		}))
		must(t, s.ScanRecords(store, n.Num, gen, "", scanAll, func(id string, f storage.Fingerprint, c storage.Content) error {
			d.Contents[key(id)] = c
			return nil
		}))
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// fingerprintOf reads the F row of an id in the live generation.
func fingerprintOf(t testing.TB, f *FSM, ns, id string) storage.Fingerprint {
	t.Helper()
	v, err := f.View()
	must(t, err)
	defer v.Close()
	store, row, err := v.findNamespace(testOrg, testStore, ns)
	must(t, err)
	var out storage.Fingerprint
	must(t, v.snapshot.Fingerprints(store.Num, row.Num, row.Live, []string{id}, func(_ int, f storage.Fingerprint, found bool) error {
		if !found {
			t.Errorf("no fingerprint of %s/%s", ns, id)
		}
		out = f
		return nil
	}))
	return out
}

// describeLive lists the live records of the test's store as ns/id=data@step.
func describeLive(t testing.TB, v *View, stepOf map[uint64]int) string {
	t.Helper()
	list, err := v.Namespaces(testOrg, testStore, Scope{}, "", 100)
	must(t, err)
	var out []string
	for _, ns := range list {
		records := readAll(t, v, ns.Name)
		if uint64(len(records)) != ns.Records {
			t.Errorf("namespace %s says %d records and has %d", ns.Name, ns.Records, len(records))
		}
		for _, rec := range records {
			out = append(out, fmt.Sprintf("%s/%s=%s@%d", ns.Name, rec.ID, rec.Data, stepOf[rec.Index]))
		}
	}
	sort.Strings(out)
	return strings.Join(out, " ")
}
