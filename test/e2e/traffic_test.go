package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"pipesync/client"
	"pipesync/internal/testcluster"
)

const (
	trafficClients = 4
	// trafficPace has each client send so that all of them leave the machine time.
	trafficPace     = 40 * time.Millisecond
	trafficDeadline = 15 * time.Minute
	// onceMore is the only retry that a client needs while nodes are restarted.
	onceMore = 2 // tries
	// asOften is for clients that aren't promised that.
	asOften = 1000 // tries
	// newest is the record for which batches have a new number.
	newest = "newest"
)

// traffic is clients that sync and read all the time, at all nodes, and keep books.
// Each has an organization of its own, and sends one request after the other: a batch, under
// an Idempotency-Key, and then a linearizable read of what the last one wrote.
type traffic struct {
	*suite
	tries   int // of a request, each at another node; more fail the test
	clients []*trafficClient
	nodes   atomic.Pointer[[]*testcluster.Node] // that are asked
	answers sync.Map                            // *testcluster.Node → *trafficAnswers
	stop    context.CancelFunc
	running sync.WaitGroup
}

// trafficAnswers counts what a node has answered.
type trafficAnswers struct{ syncs, reads atomic.Int64 }

type trafficClient struct {
	tn      tenant
	batches int   // acknowledged
	numbers []int // of those that have put it into the namespace ns
}

// batch is the one of that number: every fifth replaces the namespace pages, the others
// have a record of their own.
func (c *trafficClient) batch(number int) client.SyncRequest {
	page := fmt.Sprint(number % 7)
	batch := c.tn.batch(client.FullRefresh, upsert("pages", page, "{}"), upsert("pages", fmt.Sprint(number), "{}"))
	if number%5 != 0 {
		batch = c.tn.batch(client.Incremental, upsert("ns", fmt.Sprint(number), "{}"),
			upsert("ns", newest, fmt.Sprintf(`{"number":%d}`, number)), remove("pages", page))
	}
	batch.IdempotencyKey = fmt.Sprintf("batch-%d", number)
	return batch
}

func (c *trafficClient) acknowledged(number int) {
	c.batches++
	if number%5 != 0 {
		c.numbers = append(c.numbers, number)
	}
}

func (c *trafficClient) newest() int { return c.numbers[len(c.numbers)-1] }

func (s *suite) startTraffic(tries int) *traffic {
	s.Helper()
	f := &traffic{suite: s, tries: tries}
	f.use(s.Nodes...)
	for range trafficClients {
		c := &trafficClient{tn: s.tenant(s.Nodes[0])}
		_, err := s.admin(s.Nodes[0]).SetLimits(s.ctx, c.tn.org, client.Figures{"requests_per_window": 10_000})
		s.must(err)
		f.clients = append(f.clients, c)
	}
	going, stop := context.WithCancel(s.ctx)
	f.stop = stop
	for _, c := range f.clients {
		f.running.Go(func() { f.run(going, c) })
	}
	s.Cleanup(func() { stop(); f.running.Wait() })
	return f
}

// use has the clients ask these nodes from now on.
func (f *traffic) use(nodes ...*testcluster.Node) {
	for _, n := range nodes {
		f.answers.LoadOrStore(n, &trafficAnswers{})
	}
	f.nodes.Store(&nodes)
}

func (f *traffic) answered(n *testcluster.Node) *trafficAnswers {
	found, _ := f.answers.Load(n)
	return found.(*trafficAnswers)
}

// run is one client until going ends. Whatever it has begun it ends, so that it knows
// what became of each batch.
func (f *traffic) run(going context.Context, c *trafficClient) {
	pace := time.NewTicker(trafficPace)
	defer pace.Stop()
	for number := 1; ; number++ {
		select {
		case <-going.Done():
			return
		case <-pace.C:
		}
		batch := c.batch(number)
		if !f.ask("a sync", func(n *testcluster.Node) error {
			_, err := f.as(c.tn, n).Sync(f.ctx, batch)
			if err == nil {
				f.answered(n).syncs.Add(1)
			}
			return err
		}) {
			return
		}
		c.acknowledged(number)
		if !f.ask("a read", func(n *testcluster.Node) error {
			record, err := f.as(c.tn, n).Record(f.ctx, c.tn.store, "ns", newest, client.ReadOptions{Consistency: client.Linearizable})
			if err == nil {
				f.answered(n).reads.Add(1)
				f.wantNumber(n, record, c.newest())
			}
			return err
		}) {
			return
		}
	}
}

func (f *traffic) wantNumber(n *testcluster.Node, record client.Record, want int) {
	var data struct{ Number int }
	if err := json.Unmarshal(record.Data, &data); err != nil || data.Number != want {
		f.Errorf("%s reads %s (%v), after %d was acknowledged and nothing else sent", n.ID, record.Data, err, want)
	}
}

// ask has the nodes in turn do a request, from any of them on, until one has. It fails
// the test where it takes more tries than clients are promised, and returns false where the
// test has no more time.
func (f *traffic) ask(what string, do func(*testcluster.Node) error) bool {
	first := rand.IntN(1 << 20)
	var failures error
	for try := range asOften {
		nodes := *f.nodes.Load()
		n := nodes[(first+try)%len(nodes)]
		err := do(n)
		if err == nil {
			return true
		}
		if f.ctx.Err() != nil {
			return false
		}
		failures = errors.Join(failures, fmt.Errorf("try %d, at %s: %w", try+1, n.ID, err))
		if !expectedFailure(err) {
			f.Errorf("%s failed as none should: %v", what, failures)
		} else if try+1 == f.tries {
			f.Errorf("%s failed too often: %v", what, failures)
		}
		if try > 0 {
			time.Sleep(trafficPace)
		}
	}
	return false
}

// awaitAnswers waits until each of the nodes has answered so many more syncs and reads.
func (f *traffic) awaitAnswers(more int64, nodes ...*testcluster.Node) {
	f.Helper()
	for _, n := range nodes {
		answers := f.answered(n)
		syncs, reads := answers.syncs.Load()+more, answers.reads.Load()+more
		f.await(fmt.Sprintf("%d more syncs and reads at %s", more, n.ID), func(context.Context) error {
			if s, r := answers.syncs.Load(), answers.reads.Load(); s < syncs || r < reads {
				return fmt.Errorf("%d syncs too few, and %d reads", syncs-s, reads-r)
			}
			return nil
		})
	}
}

// end stops the clients and wants every node to have each batch, once.
func (f *traffic) end() {
	f.Helper()
	f.stop()
	f.running.Wait()
	batches := 0
	for _, c := range f.clients {
		batches += c.batches
		for _, n := range f.Nodes {
			f.wantBatches(n, c)
		}
		f.sameDigest(c.tn, "ns")
		f.sameDigest(c.tn, "pages")
	}
	f.Logf("%d syncs, each on every node, once", batches)
}

// wantBatches wants a node to have what a client has sent, and nothing else, and each
// batch once in its history.
func (f *traffic) wantBatches(n *testcluster.Node, c *trafficClient) {
	f.Helper()
	found := f.all(n, c.tn, "ns")
	for _, number := range c.numbers {
		if id := fmt.Sprint(number); found[id].ID != id {
			f.Errorf("%s lacks the acknowledged %s of %s", n.ID, id, c.tn.org)
		}
	}
	if want := len(c.numbers) + 1; len(found) != want {
		f.Errorf("%s has %d records of %s, want %d", n.ID, len(found), c.tn.org, want)
	}
	f.wantNumber(n, found[newest], c.newest())
	syncs := 0
	opts := client.ReadOptions{Limit: 1000}
	for {
		page, err := f.as(c.tn, n).Syncs(f.ctx, "", opts)
		f.must(err)
		syncs += len(page.Syncs)
		if page.NextCursor == nil {
			break
		}
		opts.Cursor = *page.NextCursor
	}
	if syncs != c.batches {
		f.Errorf("%s has applied %d batches of %s, want %d", n.ID, syncs, c.tn.org, c.batches)
	}
}

// lead has n lead.
func (s *suite) lead(n *testcluster.Node) {
	s.Helper()
	s.await("the leadership of "+n.ID, func(ctx context.Context) error {
		leader, err := s.Leader(ctx)
		if err != nil || leader == n {
			return err
		}
		if _, err = s.admin(leader).TransferLeadership(ctx, n.ID); err == nil {
			err = errors.New("it has just been made to")
		}
		return err
	})
}

// sameRows has all nodes read all their rows as of one entry, and wants them to be the
// same, to each other and in their own judgement.
func (s *suite) sameRows() {
	s.Helper()
	var begun client.ScrubBegun
	s.await("a scrub", func(ctx context.Context) (err error) {
		begun, err = s.admin(s.leader()).Scrub(ctx)
		return err
	})
	hashes := map[uint64]string{}
	for _, n := range s.Nodes {
		s.await("the scrub of "+n.ID, func(ctx context.Context) error {
			status, err := s.admin(n).Status(ctx)
			if err != nil {
				return err
			}
			scrub := status.State.Scrub
			if scrub == nil || scrub.Index < begun.Index || scrub.Verdict == "unknown" {
				return fmt.Errorf("it has %+v, want one of entry %d", scrub, begun.Index)
			}
			if known, ok := hashes[scrub.Index]; ok && known != scrub.Hash || scrub.Verdict != "agrees" || len(scrub.Problems) > 0 {
				s.Errorf("%s has found %+v, the others %v", n.ID, *scrub, hashes)
			}
			hashes[scrub.Index] = scrub.Hash
			return nil
		})
	}
	if len(hashes) != 1 {
		s.Errorf("the nodes have scrubbed as of several entries: %v", hashes)
	}
}
