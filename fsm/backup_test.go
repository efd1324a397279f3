package fsm

import (
	"bytes"
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/raft"

	"pipesync/storage"
)

func (r *rig) backup() []byte {
	r.t.Helper()
	b, err := r.fsm.Backup()
	must(r.t, err)
	var out bytes.Buffer
	n, err := b.WriteTo(&out)
	must(r.t, errors.Join(err, b.Close()))
	info, err := VerifyBackup(bytes.NewReader(out.Bytes()))
	must(r.t, err)
	if info != b.Info() || info.Bytes <= 0 || n != int64(out.Len()) {
		r.t.Fatalf("%d bytes of %+v are told to be %+v", n, b.Info(), info)
	}
	return out.Bytes()
}

var testSeed = Seed{
	ClusterID: "cluster-2", Epoch: storage.Epoch{1, 2}, AdminTokenHash: [32]byte{6}, NodeID: "n9", PeerAddr: "127.0.0.1:9",
}

// seeded opens what SeedFrom makes of a backup.
func seeded(t *testing.T, backup []byte) *rig {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "state")
	_, err := SeedFrom(bytes.NewReader(backup), Options{Dir: dir, CacheBytes: 8 << 20, Fatal: func(err error) { panic(fatalCall{err}) }}, testSeed)
	must(t, err)
	return newRigIn(t, dir)
}

// A recovered cluster keeps its admin token, and so goes on to refuse those of before.
func TestSeedWithTheSameAdminToken(t *testing.T) {
	r := newRig(t)
	r.setUp(100)
	r.mustApply(&VersionRaise{Version: MaxClusterVersion})
	r.mustApply(&AdminTokenSet{Hash: testSeed.AdminTokenHash})
	v := seeded(t, r.backup()).view()
	defer v.Close()
	if change, err := v.AdminTokenChange(); change.Changes != 1 || err != nil {
		t.Errorf("%+v, %v", change, err)
	}
}

// A seeded state has all that the backup had at its moment, and a cluster of its own.
func TestSeedFromBackup(t *testing.T) {
	r := newRig(t)
	r.setUp(100)
	r.mustApply(newSync(Incremental, upsert("n", "a", "1"), upsert("n", "b", "2")))
	r.mustApply(newSync(Incremental, upsert("n", "b", "3")))
	r.mustApply(newSync(FullRefresh, upsert("m", "c", "4")))
	r.mustApply(&VersionRaise{Version: MaxClusterVersion})
	r.mustApply(&GossipKeyAdd{Key: storage.GossipKey{1}, First: true})
	r.mustApply(&CARotationBegin{CA: []byte("of the old cluster")})
	r.mustApply(&AdminTokenSet{Hash: [32]byte{7}})
	want, index := dump(t, r.fsm), r.fsm.Applied()
	backup := r.backup()
	r.mustApply(newSync(Incremental, upsert("n", "late", "5")))

	s := seeded(t, backup)
	got := dump(t, s.fsm)
	if applied, term := s.fsm.Position(); applied != index || term != testTerm {
		t.Errorf("it goes on from entry %d of term %d, want %d of %d", applied, term, index, testTerm)
	}
	if got.System.ClusterID != testSeed.ClusterID || got.System.Epoch != testSeed.Epoch || got.System.Chain == want.System.Chain ||
		got.Settings.AdminTokenHash != testSeed.AdminTokenHash {
		t.Errorf("it is of %+v, %+v", got.System, got.Settings)
	}
	want.System.ClusterID, want.System.Epoch, want.System.Chain = got.System.ClusterID, got.System.Epoch, got.System.Chain
	want.Settings.AdminTokenHash = got.Settings.AdminTokenHash
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("other than it was backed up (-want +got):\n%s", diff)
	}

	v := s.view()
	defer v.Close()
	ring, err := v.GossipRing()
	if err != nil || ring.Revision != 0 {
		t.Errorf("it has gossip keys of the old cluster: %+v, %v", ring, err)
	}
	if rotation, err := v.CARotation(); rotation.Phase != 0 || err != nil {
		t.Errorf("it rotates the old cluster's CA: %+v, %v", rotation, err)
	}

	if change, err := v.AdminTokenChange(); change.Changes != 0 || err != nil {
		t.Errorf("its admin token is said to have been changed: %+v, %v", change, err)
	}

	list, err := s.fsm.Snapshots().List()
	must(t, err)
	only := []raft.Server{{ID: "n9", Address: "127.0.0.1:9"}}
	if len(list) != 1 || list[0].Index != index || list[0].Term != testTerm || cmp.Diff(only, list[0].Configuration.Servers) != "" {
		t.Fatalf("raft finds %+v", list)
	}
	if covered, err := s.fsm.Covers(bytes.NewReader(s.streamOf(list[0].ID))); !covered || err != nil {
		t.Errorf("the state covers its snapshot: %v, %v", covered, err)
	}
	// What joins gets the snapshot, and both go on alike.
	joined := newRig(t)
	must(t, joined.restore(s.streamOf(list[0].ID)))
	for _, at := range []*rig{s, joined} {
		at.next = index + 1
		at.mustApply(newSync(Incremental, upsert("n", "a", "6")))
	}
	if diff := cmp.Diff(dump(t, s.fsm), dump(t, joined.fsm)); diff != "" {
		t.Errorf("the seeded node and one that joined differ:\n%s", diff)
	}
}

// A backup is of a moment between two entries, also while they come.
func TestBackupUnderLoad(t *testing.T) {
	r := newRig(t)
	r.setUp(10_000)
	var wg sync.WaitGroup
	done := make(chan struct{})
	wg.Go(func() {
		defer close(done)
		for range 300 {
			r.mustApply(newSync(Incremental, upsert("n", "a", "1"), upsert("n", "b", "2")))
			r.mustApply(newSync(Incremental, remove("n", "a"), remove("n", "b")))
		}
	})
	backups := [][]byte{}
	for ended := false; !ended; {
		select {
		case <-done:
			ended = true
		default:
		}
		backups = append(backups, r.backup())
		if len(backups) > 3 {
			backups = backups[1:]
		}
	}
	wg.Wait()
	for _, b := range backups {
		d := dump(t, seeded(t, b).fsm)
		if n := len(d.Contents); n != 0 && n != 2 {
			t.Errorf("a backup at entry %d has %d records", d.System.AppliedIndex, n)
		}
	}
	for _, name := range listDir(t, r.dir) {
		if strings.HasPrefix(name, checkpointPrefix) {
			t.Errorf("%s was left", name)
		}
	}
}

func TestBackupIsRefused(t *testing.T) {
	r := newRig(t)
	if _, err := r.fsm.Backup(); !errors.Is(err, ErrNotReady) {
		t.Errorf("of no state: %v", err)
	}
	r.setUp(100)
	whole := r.backup()
	o := Options{Dir: filepath.Join(t.TempDir(), "state"), Fatal: func(err error) { panic(fatalCall{err}) }}
	for _, n := range []int{0, 3, 40, len(whole) / 2, len(whole) - 1} {
		if _, err := VerifyBackup(bytes.NewReader(whole[:n])); !errors.Is(err, ErrCorrupt) {
			t.Errorf("the first %d bytes: %v", n, err)
		}
		o.Dir = filepath.Join(t.TempDir(), "state")
		if _, err := SeedFrom(bytes.NewReader(whole[:n]), o, testSeed); !errors.Is(err, ErrCorrupt) {
			t.Errorf("seeded from the first %d bytes: %v", n, err)
		}
		bad := bytes.Clone(whole)
		bad[n] ^= 1
		if _, err := VerifyBackup(bytes.NewReader(bad)); err == nil {
			t.Errorf("byte %d changed: no error", n)
		}
	}
	if _, err := VerifyBackup(bytes.NewReader(append(bytes.Clone(whole), 0))); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a byte behind: %v", err)
	}
	if _, err := SeedFrom(bytes.NewReader(whole), Options{Dir: r.dir, Fatal: o.Fatal}, testSeed); !errors.Is(err, fs.ErrExist) {
		t.Errorf("into a state that is there: %v", err)
	}
}
