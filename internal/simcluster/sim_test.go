package simcluster

import (
	"flag"
	"os"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"pipesync/internal/seeds"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	simSeed  = flag.Uint64("sim.seed", 0, "run the simulation with this seed alone")
	simSeeds = flag.Int("sim.seeds", 0, "run the simulation with so many seeds")
	simTime  = flag.Duration("sim.time", 0, "run the simulation with one seed after another for so long")
)

const (
	// Rounds of a seed: in each there is a fault, or two.
	rounds      = 125
	roundsRace  = 90
	roundsShort = 30

	seedsRun   = 45
	seedsRace  = 2
	seedsShort = 1
	seedsMax   = 1_000_000 // those of a day
	soakTime   = 30 * time.Minute
)

// A run of seedsRun has to reach these figures, a shorter one its share.
const (
	ackedLeast  = 100_000
	faultsLeast = 5_000
	pausesLeast = 2_000

	caughtUpLeast = 10_000 // followers with all changes
	commandsLeast = 200    // of each kind that the clients' syncs are not
)

// plan is which seeds are run.
type plan struct {
	first, n uint64
	lasting  time.Duration // not 0: no more are begun after that
}

func planned(t *testing.T) plan {
	if *simSeed != 0 {
		return plan{first: *simSeed, n: 1}
	}
	first, err := seeds.First()
	if err != nil {
		t.Fatal(err)
	}
	p := plan{first: first}
	switch soak := os.Getenv("PIPESYNC_SOAK"); {
	case *simSeeds > 0:
		p.n = uint64(*simSeeds)
	case *simTime > 0:
		p.n, p.lasting = seedsMax, *simTime
	case soak != "":
		p.n, p.lasting = seedsMax, soakTime
		if asked, err := time.ParseDuration(soak); err == nil {
			p.lasting = asked
		}
	case testing.Short():
		p.n = seedsShort
	case raceEnabled:
		p.n = seedsRace
	default:
		p.n = seedsRun
	}
	return p
}

// TestSimulation has clusters of 3 and 5 nodes live through one fault after another.
func TestSimulation(t *testing.T) {
	p := planned(t)
	t.Logf("seeds from %d", p.first)
	c := newCounts()
	started := time.Now()
	var next atomic.Uint64
	t.Run("seeds", func(t *testing.T) {
		for range min(p.n, uint64(runtime.GOMAXPROCS(0))) {
			t.Run("worker", func(t *testing.T) {
				t.Parallel()
				for i := next.Add(1) - 1; i < p.n && (p.lasting == 0 || time.Since(started) < p.lasting); i = next.Add(1) - 1 {
					simulate(t, p.first+i, c)
				}
			})
		}
	})
	t.Logf("in %v: %s", time.Since(started).Round(time.Second), c)
	if !t.Failed() {
		c.check(t)
	}
}

func simulate(t *testing.T, seed uint64, c *counts) {
	n := rounds
	switch {
	case testing.Short():
		n = roundsShort
	case raceEnabled:
		n = roundsRace
	}
	dir := home(t)
	synctest.Test(t, func(t *testing.T) {
		size := 3
		if seed%2 == 1 {
			size = 5
		}
		newWorld(t, seed, dir, c).run(size, n)
	})
	c.seeds.Add(1)
}
