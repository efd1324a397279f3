package cluster

import (
	"errors"
	"sync"
	"testing"
)

const (
	gib = 1 << 30
	mib = 1 << 20
)

func TestSpaceHasHysteresis(t *testing.T) {
	var free, total int64
	broken := errors.New("stale handle")
	var fails error
	s := &space{dirs: []string{"a"}, probe: func(string) (int64, int64, error) { return free, total, fails }}
	for i, step := range []struct {
		free, total, min int64
		fails            error
		low              bool
	}{
		{free: 2 * gib, total: 100 * gib},
		{free: gib, total: 100 * gib},
		{free: gib - 1, total: 100 * gib, low: true},
		{free: gib + gib/4 - 1, total: 100 * gib, low: true}, // not enough more
		{free: gib + gib/4, total: 100 * gib},
		{free: gib, total: 100 * gib},
		{free: 0, total: 0, fails: broken}, // says nothing
		{free: 40 * mib, total: gib, low: true},
		{free: 52 * mib, total: gib, low: true}, // above the twentieth, not by a quarter
		{free: 0, total: 0, fails: broken, low: true},
		{free: 100 * mib, total: gib},
		{free: 100 * mib, total: gib, min: 200 * mib, low: true},
		{free: 250 * mib, total: gib, min: 200 * mib},
	} {
		was := s.low
		free, total, s.min, fails = step.free, step.total, step.min, step.fails
		changed, err := s.look()
		if !errors.Is(err, step.fails) || s.isLow() != step.low || changed != (was != step.low) {
			t.Errorf("step %d: low %v, changed %v, %v", i, s.isLow(), changed, err)
		}
		if err := s.refuse(); (err != nil) != step.low || step.low && (!errors.Is(err, ErrDiskFull) || class(t, err) != "not applied") {
			t.Errorf("step %d: a write is refused with %v", i, err)
		}
	}
}

// The disk that has least room above its own watermark counts.
func TestSpaceOfSeveralDisks(t *testing.T) {
	rooms := map[string][2]int64{"log": {2 * gib, 500 * gib}, "state": {60 * mib, gib}}
	s := &space{dirs: []string{"log", "state"}, probe: func(dir string) (int64, int64, error) { return rooms[dir][0], rooms[dir][1], nil }}
	if _, err := s.look(); err != nil {
		t.Fatal(err)
	}
	twentieth := int64(gib) / 20
	if r, low := s.least(); r != (room{"state", 60 * mib, gib, twentieth}) || low {
		t.Errorf("%+v, low %v", r, low)
	}
	rooms["log"] = [2]int64{gib - 1, 500 * gib}
	if _, err := s.look(); err != nil {
		t.Fatal(err)
	}
	if r, low := s.least(); r != (room{"log", gib - 1, 500 * gib, gib}) || !low {
		t.Errorf("%+v, low %v", r, low)
	}
}

// rooms are the free bytes of each member's disk.
type rooms struct {
	mu   sync.Mutex
	free map[string]int64
}

func (r *rooms) set(free int64, names ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, name := range names {
		r.free[name] = free
	}
}

func (r *rooms) of(c *Config) {
	name := c.NodeID
	r.set(10*gib, name)
	c.statFS = func(string) (int64, int64, error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.free[name], 100 * gib, nil
	}
}

// A leader whose disk is full hands over to one that has room. Where nobody has,
// writes are refused, and go on by themselves when there is room again.
func TestADiskThatIsFull(t *testing.T) {
	t.Parallel()
	r := &rooms{free: map[string]int64{}}
	all := newCluster(t, 3, r.of)
	all[0].mustPropose("before")
	if leaderOf(t, all).name() != "n1" {
		t.Fatal("another leads than the test expects")
	}
	r.set(mib, "n1", "n2")
	eventually(t, "the one with room to lead", func() bool {
		s := all[0].Status()
		return s.LeaderID == "n3" && s.Disk == Disk{Dir: all[0].cfg.DataDir, FreeBytes: mib, TotalBytes: 100 * gib, MinFreeBytes: gib, Full: true}
	})
	for _, m := range all {
		m.mustPropose("through " + m.name())
	}
	r.set(mib, "n3")
	eventually(t, "the leader to be full", func() bool { return all[2].Status().Disk.Full })
	for _, m := range all {
		if _, err := m.Propose(m.ctx(), []byte("refused")); !errors.Is(err, ErrDiskFull) || class(t, err) != "not applied" {
			t.Errorf("through %s: %v", m.name(), err)
		}
	}
	if got := len(all[1].read()); got != 4 {
		t.Errorf("%d entries are read", got)
	}
	r.set(10*gib, "n1", "n2", "n3")
	eventually(t, "writes to go on", func() bool {
		_, err := all[0].Propose(all[0].ctx(), []byte("after"))
		return err == nil
	})
}
