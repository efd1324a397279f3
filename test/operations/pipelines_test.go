package operations

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pipesync/client"
	"pipesync/internal/testcluster"
)

const (
	pipelines = 6
	// syncPace is between two syncs of a pipeline.
	syncPace = 30 * time.Millisecond
	// syncsBetween are the syncs of each pipeline, at least, between two sections.
	syncsBetween = 20
	// maxDial is what a client gives a machine to take a connection.
	maxDial = 2 * time.Second
	// maxAttempt is what a client gives one node to answer: the node's own bound, and
	// a little.
	maxAttempt = 15 * time.Second
	namespace  = "orders"
)

// traffic is what clients send all the time, and what they were promised.
type traffic struct {
	t       *testing.T
	nodes   func() []string // HTTP addresses that clients know
	http    *http.Client
	pause   sync.RWMutex // whoever syncs reads, whoever wants quiet writes
	senders []*pipeline

	mu    sync.Mutex
	cured map[string]int // first attempts that failed, by why
	waits time.Duration  // the longest that a client has waited
}

// pipeline is one source of changes with an organization of its own.
type pipeline struct {
	org, store string
	key        func() string // asked again for each sync

	mu       sync.Mutex
	promised map[string]promise // by record id
}

// promise is what came with an acknowledgement.
type promise struct{ data, syncID string }

func (p *pipeline) acknowledged() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.promised)
}

// run has all pipelines sync until ctx ends.
func (tr *traffic) run(ctx context.Context) {
	var running sync.WaitGroup
	for _, p := range tr.senders {
		running.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-ctx.Done():
					return
				case <-time.After(syncPace):
				}
				tr.pause.RLock()
				if ctx.Err() == nil {
					tr.sync(p, fmt.Sprintf("%s/%d", p.org, i))
				}
				tr.pause.RUnlock()
			}
		})
	}
	running.Wait()
}

// sync sends one record, as a client does that tries once more at another node.
func (tr *traffic) sync(p *pipeline, id string) {
	data := fmt.Sprintf(`{"id":%q,"n":%d}`, id, rand.Uint64())
	req := client.SyncRequest{
		OrganizationID: p.org, VectorStoreID: p.store, Mode: client.Incremental, IdempotencyKey: id,
		Operations: []client.Operation{{Action: client.Upsert, Namespace: namespace, ID: id, Data: json.RawMessage(data)}},
	}
	nodes := tr.nodes()
	rand.Shuffle(len(nodes), func(i, j int) { nodes[i], nodes[j] = nodes[j], nodes[i] })
	began := time.Now()
	reply, err := tr.attempt(p, nodes[0], req)
	if err != nil {
		first := err
		tr.note(err)
		if reply, err = tr.attempt(p, nodes[len(nodes)-1], req); err != nil {
			tr.t.Errorf("%s: a sync failed, and once more, of the nodes %v:\n%v\n%v", time.Now().UTC().Format(time.StampMilli), nodes, first, err)
			return
		}
	}
	if reply.Processed != 1 || reply.Details.Created != 1 {
		tr.t.Errorf("%s was to be created: %+v", id, reply)
	}
	p.mu.Lock()
	p.promised[id] = promise{data, reply.SyncID}
	p.mu.Unlock()
	tr.mu.Lock()
	tr.waits = max(tr.waits, time.Since(began))
	tr.mu.Unlock()
}

func (tr *traffic) attempt(p *pipeline, node string, req client.SyncRequest) (client.SyncReply, error) {
	ctx, cancel := context.WithTimeout(context.Background(), maxAttempt)
	defer cancel()
	return tr.at(node, p.key()).Sync(ctx, req)
}

// at speaks to one node alone.
func (tr *traffic) at(node, key string) *client.Client {
	return client.New(client.Options{Addrs: []string{node}, APIKey: key, HTTPClient: tr.http})
}

// note counts a failure that trying again has to cure. What a client wouldn't send
// again is an error at once.
func (tr *traffic) note(err error) {
	why := "no connection"
	var refused *client.Error
	var gone *client.ConnectionError
	switch {
	case errors.As(err, &refused) && refused.Retryable:
		why = refused.Code
	case errors.As(err, &gone) && gone.Sent:
		why = "no answer"
	case !errors.As(err, &gone):
		tr.t.Errorf("a sync failed as none may: %v", err)
	}
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.cured[why]++
}

// flowing waits until every pipeline has been acknowledged some more.
func (tr *traffic) flowing(ctx context.Context) error {
	before := map[*pipeline]int{}
	for _, p := range tr.senders {
		before[p] = p.acknowledged()
	}
	return testcluster.Await(ctx, "syncs of all pipelines", func(context.Context) error {
		for p, n := range before {
			if got := p.acknowledged(); got < n+syncsBetween {
				return fmt.Errorf("%s: %d syncs after %d", p.org, got, n)
			}
		}
		return nil
	})
}

// summary is what clients saw.
func (tr *traffic) summary() string {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	total := 0
	for _, p := range tr.senders {
		total += p.acknowledged()
	}
	var cured []string
	for _, why := range slices.Sorted(maps.Keys(tr.cured)) {
		cured = append(cured, fmt.Sprintf("%d × %s", tr.cured[why], why))
	}
	return fmt.Sprintf("%d syncs acknowledged, the slowest after %v; trying again has cured %s", total, tr.waits.Round(time.Millisecond), strings.Join(cured, ", "))
}

// readBack wants all that was acknowledged on a node, once, and nothing else.
func (tr *traffic) readBack(ctx context.Context, node string) error {
	var errs []error
	for _, p := range tr.senders {
		if err := p.readBack(ctx, tr.at(node, p.key())); err != nil {
			errs = append(errs, fmt.Errorf("%s at %s: %w", p.org, node, err))
		}
	}
	return errors.Join(errs...)
}

func (p *pipeline) readBack(ctx context.Context, c *client.Client) error {
	p.mu.Lock()
	promised := maps.Clone(p.promised)
	p.mu.Unlock()
	summary, err := c.Namespace(ctx, p.store, namespace, client.ReadOptions{})
	if err != nil {
		return err
	}
	if summary.Records != uint64(len(promised)) {
		return fmt.Errorf("the namespace tells of %d records, %d were acknowledged", summary.Records, len(promised))
	}
	found := 0
	for opts := (client.ReadOptions{Limit: 1000}); ; {
		page, err := c.Records(ctx, p.store, namespace, opts)
		if err != nil {
			return err
		}
		for _, r := range page.Records {
			if want := promised[r.ID]; string(r.Data) != want.data || r.SyncID != want.syncID {
				return fmt.Errorf("record %s is %s of %s, acknowledged was %+v", r.ID, r.Data, r.SyncID, want)
			}
		}
		found += len(page.Records)
		if page.NextCursor == nil {
			break
		}
		opts.Cursor = *page.NextCursor
	}
	if found != len(promised) {
		return fmt.Errorf("%d records are listed, %d were acknowledged", found, len(promised))
	}
	return p.readHistory(ctx, c, promised)
}

// readHistory wants each acknowledged sync in the history, once.
func (p *pipeline) readHistory(ctx context.Context, c *client.Client, promised map[string]promise) error {
	missing := map[string]bool{}
	for _, was := range promised {
		missing[was.syncID] = true
	}
	if len(missing) != len(promised) {
		return fmt.Errorf("%d syncs were acknowledged under %d ids", len(promised), len(missing))
	}
	for opts := (client.ReadOptions{Limit: 1000}); ; {
		page, err := c.Syncs(ctx, "", opts)
		if err != nil {
			return err
		}
		for _, s := range page.Syncs {
			if !missing[s.SyncID] {
				return fmt.Errorf("the history has %s twice, or it was not acknowledged", s.SyncID)
			}
			delete(missing, s.SyncID)
		}
		if page.NextCursor == nil {
			break
		}
		opts.Cursor = *page.NextCursor
	}
	if len(missing) > 0 {
		return fmt.Errorf("the history lacks %d acknowledged syncs", len(missing))
	}
	return nil
}
