package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"pipesync/client"
	"pipesync/test/jepsen/history"
)

const (
	clientsPerTenant = 3
	defaultLimit     = 100
	raisedLimit      = 200 // of one organization in eight
	attemptSeconds   = 5
	// operationSeconds is how long a client goes on with one operation.
	operationSeconds = 20
	// maxThink is the longest pause of a client between two operations.
	maxThink        = 1200 * time.Millisecond
	idsPerNamespace = 6
)

// Namespaces of each organization. In shared all clients upsert and delete, refreshed is
// refreshed as a whole, loose has syncs without a key, each with ids of its own, and those
// of stamped have timestamps, which are often older than what they meet.
var (
	shared     = []string{"a", "b"}
	refreshed  = "r"
	loose      = "loose"
	stamped    = "stamped"
	everywhere = slices.Concat(shared, []string{refreshed, loose, stamped})
)

const (
	// Timestamps are up to maxStampAge old, and stampedBefore ago: whatever the clocks of
	// nodes do, they aren't of the future.
	maxStampAge   = 8 * time.Second
	stampedBefore = 2 * time.Hour
	// stampedIDs are few, so that one meets the other.
	stampedIDs = 3
)

// tenant is an organization, with a client for each node.
type tenant struct {
	org, store string
	key        string
	at         []*client.Client
	stamps     sync.Map // of int64: the last values that were written with timestamps, by id
}

func (r *run) newTenant(ctx context.Context, org string, limit int, attempt time.Duration) (*tenant, error) {
	admin := r.cluster.Nodes[0].Client()
	t := &tenant{org: org, store: "vs_" + org}
	key, err := admin.CreateKey(ctx, client.KeyRequest{OrganizationID: org, VectorStoreID: t.store})
	if err != nil {
		return nil, fmt.Errorf("making %s: %w", org, err)
	}
	t.key = key.Key
	if limit != r.scaled(defaultLimit) {
		if _, err := admin.SetLimits(ctx, org, client.Figures{"requests_per_window": uint64(limit)}); err != nil {
			return nil, fmt.Errorf("setting the limit of %s: %w", org, err)
		}
	}
	r.hist.Limits[org] = limit
	for _, n := range r.cluster.Nodes {
		t.at = append(t.at, client.New(client.Options{Addrs: []string{n.HTTP}, APIKey: key.Key, Timeout: attempt}))
	}
	return t, nil
}

// clients are what all workers share.
type clients struct {
	r      *run
	values atomic.Int64
	ids    atomic.Int64 // of workers

	written atomic.Value // string: namespace of the last small sync of a burst

	settling sync.WaitGroup
	mu       sync.Mutex
	open     []open   // keyed syncs whose outcome nobody knows when the time is over
	doubtful []string // namespaces of bursts whose last sync was not acknowledged
}

type open struct {
	t   *tenant
	op  *history.Op
	req client.SyncRequest
}

func newClients(r *run) *clients { return &clients{r: r} }

// settleMeanwhile settles a sync while others go on.
func (c *clients) settleMeanwhile(ctx context.Context, o open) {
	nodes := make([]int, len(o.t.at))
	for i := range nodes {
		nodes[i] = i
	}
	if c.settleOne(ctx, o, nodes) == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open = append(c.open, o)
}

// worker is one client, that does one operation after the other. After one of unknown
// outcome it goes on under another number, since that may still be under way.
type worker struct {
	c     *clients
	t     *tenant
	rng   *rand.Rand
	id    int
	keyID string // of its API key; empty: the organization's first
	eager bool   // sends more than it may
	last  *open
}

func newWorker(r *run, t *tenant, rng *rand.Rand, eager bool) *worker {
	return &worker{c: r.clients, t: t, rng: rng, id: int(r.clients.ids.Add(1)), eager: eager}
}

func (w *worker) run(ctx context.Context) {
	for ctx.Err() == nil {
		think := time.Duration(w.rng.Int64N(int64(maxThink)))
		syncs := 25 // in a hundred operations
		if w.eager {
			think, syncs = think/4, 60
		}
		select {
		case <-time.After(think):
		case <-ctx.Done():
			return
		}
		// What is begun is ended, also after the time is over.
		switch n := w.rng.IntN(100); {
		case n < syncs:
			w.sync(ctx)
		case n < syncs+2 && w.last != nil:
			w.repeat(context.WithoutCancel(ctx))
		default:
			w.read(context.WithoutCancel(ctx), w.node(), everywhere[w.rng.IntN(len(everywhere))], w.rng.IntN(3) > 0)
		}
	}
}

func (w *worker) node() int { return w.rng.IntN(len(w.t.at)) }

func (w *worker) begin(node int) *history.Op {
	return &history.Op{Client: w.id, KeyID: w.keyID, Org: w.t.org, Node: w.c.r.cluster.Nodes[node].ID, Invoked: w.c.r.now()}
}

// done notes an operation that has ended.
func (c *clients) done(op *history.Op) {
	op.Returned = c.r.now()
	c.r.mu.Lock()
	defer c.r.mu.Unlock()
	c.r.hist.Ops = append(c.r.hist.Ops, *op)
}

// batch makes a sync, keyed or not.
func (w *worker) batch() (*history.Sync, client.SyncRequest) {
	s := &history.Sync{Mode: history.Incremental}
	value := func() int64 { return w.c.values.Add(1) }
	switch n := w.rng.IntN(10); {
	case n == 0:
		for range 1 + w.rng.IntN(3) {
			s.Writes = append(s.Writes, history.Write{Namespace: loose, ID: fmt.Sprintf("%08d", value()), Value: value()})
		}
	case n == 1:
		s.Mode = history.FullRefresh
		for _, id := range w.rng.Perm(idsPerNamespace)[:1+w.rng.IntN(idsPerNamespace)] {
			s.Writes = append(s.Writes, history.Write{Namespace: refreshed, ID: fmt.Sprint("id", id), Value: value()})
		}
	case n <= 3:
		s.Timestamp = time.Now().Add(-stampedBefore - time.Duration(w.rng.Int64N(int64(maxStampAge)))).UnixMilli()
		for _, id := range w.rng.Perm(stampedIDs)[:1+w.rng.IntN(stampedIDs)] {
			s.Writes = append(s.Writes, w.stampedWrite(fmt.Sprint("id", id)))
		}
	default:
		both := append(w.rng.Perm(idsPerNamespace), w.rng.Perm(idsPerNamespace)...)
		for i := range 1 + w.rng.IntN(5) {
			namespace, id := shared[i%2], both[i/2+i%2*idsPerNamespace]
			write := history.Write{Namespace: namespace, ID: fmt.Sprint("id", id), Value: value()}
			if i > 0 && w.rng.IntN(4) == 0 {
				write.Value = 0
			}
			s.Writes = append(s.Writes, write)
		}
	}
	if s.Writes[0].Namespace != loose {
		s.Key = fmt.Sprintf("%d-%d", w.id, value())
	}
	return s, w.request(s)
}

// stampedWrite upserts something, or what somebody wrote last, or deletes.
func (w *worker) stampedWrite(id string) history.Write {
	write := history.Write{Namespace: stamped, ID: id}
	switch w.rng.IntN(4) {
	case 0:
	case 1:
		if last, ok := w.t.stamps.Load(id); ok {
			write.Value = last.(int64)
		}
	default:
		write.Value = w.c.values.Add(1)
	}
	w.t.stamps.Store(id, write.Value)
	return write
}

func (w *worker) request(s *history.Sync) client.SyncRequest {
	req := client.SyncRequest{OrganizationID: w.t.org, Mode: s.Mode, IdempotencyKey: s.Key}
	if s.Timestamp != 0 {
		req.Timestamp = time.UnixMilli(s.Timestamp).UTC().Format("2006-01-02T15:04:05.000Z07:00")
	}
	for _, write := range s.Writes {
		op := client.Operation{Action: client.Delete, Namespace: write.Namespace, ID: write.ID}
		if write.Value != 0 {
			op.Action, op.Data = client.Upsert, json.RawMessage(fmt.Sprintf(`{"v":%d}`, write.Value))
		}
		for i := range write.Count {
			op.ID = fmt.Sprint(write.ID, i)
			req.Operations = append(req.Operations, op)
		}
		if write.Count == 0 {
			req.Operations = append(req.Operations, op)
		}
	}
	return req
}

// sync sends a batch: with a key until the outcome is known, else once. If that takes long
// somebody else goes on with it, until ctx ends; what is open then is settled in the end.
func (w *worker) sync(ctx context.Context) {
	s, req := w.batch()
	op := w.begin(w.node())
	op.Sync = s
	w.send(context.WithoutCancel(ctx), op, req)
	switch {
	case op.Outcome == history.OK && s.Key != "":
		w.last = &open{w.t, op, req}
	case op.Outcome == history.Unknown:
		w.id = int(w.c.ids.Add(1))
		if s.Key != "" {
			w.c.settling.Go(func() { w.c.settleMeanwhile(ctx, open{w.t, op, req}) })
			return
		}
	}
	w.c.done(op)
}

func (w *worker) send(ctx context.Context, op *history.Op, req client.SyncRequest) {
	ctx, cancel := context.WithTimeout(ctx, operationSeconds*time.Second)
	defer cancel()
	maybe := false // some attempt may have been applied
	for node := w.node(); ; node = w.node() {
		op.Requests++
		op.Node = w.c.r.cluster.Nodes[node].ID
		reply, err := w.t.at[node].Sync(ctx, req)
		if err == nil {
			answered(op, reply)
			return
		}
		again, unknown := judge(err, op)
		maybe = maybe || unknown
		switch {
		case req.IdempotencyKey == "" || !again && !maybe:
			op.Outcome = history.Fail
			if maybe {
				op.Outcome = history.Unknown
			}
			return
		case !again && op.Code != rateLimited:
			// A batch that may be applied, and a refusal that no retry changes.
			op.Outcome = history.Unknown
			return
		}
		select {
		case <-time.After(time.Duration(100+w.rng.IntN(300)) * time.Millisecond):
		case <-ctx.Done():
			op.Outcome = history.Fail
			if maybe {
				op.Outcome = history.Unknown
			}
			return
		}
	}
}

const rateLimited = "RATE_LIMIT_EXCEEDED"

func answered(op *history.Op, reply client.SyncReply) {
	op.Outcome, op.Code = history.OK, ""
	op.Sync.SyncID, op.Sync.Index, op.Sync.Replayed = reply.SyncID, reply.Index, reply.Replayed
	op.Sync.Details = history.Details(reply.Details)
}

// judge says whether to send the same again, and whether this time may have been the one.
func judge(err error, op *history.Op) (again, unknown bool) {
	var refused *client.Error
	var broken *client.ConnectionError
	switch {
	case errors.As(err, &refused):
		op.Code = cmp.Or(refused.Code, fmt.Sprint(refused.Status))
		op.Sync.SyncID = cmp.Or(refused.SyncID, op.Sync.SyncID)
		return refused.Retryable && refused.Code != rateLimited, refused.Code == "OUTCOME_UNKNOWN" || refused.Code == "INTERNAL"
	case errors.As(err, &broken):
		op.Code = "UNREACHABLE"
		if broken.Sent {
			op.Code = "NO_ANSWER"
		}
		return true, broken.Sent
	}
	op.Code = "NO_ANSWER"
	return true, true
}

// repeat sends a batch again that was acknowledged.
func (w *worker) repeat(ctx context.Context) {
	op := w.begin(w.node())
	sync := *w.last.op.Sync
	op.Sync = &sync
	op.Sync.SyncID, op.Sync.Index, op.Sync.Details, op.Sync.Repeat = "", 0, history.Details{}, true
	w.send(ctx, op, w.last.req)
	if op.Outcome != history.OK {
		op.Outcome = history.Fail // it was applied long ago, and says nothing new
	}
	w.c.done(op)
}

func (w *worker) read(ctx context.Context, node int, namespace string, linearizable bool) error {
	op := w.begin(node)
	op.Requests, op.Outcome = 1, history.OK
	op.Read = &history.Read{Namespace: namespace, Linearizable: linearizable}
	index, err := readPage(ctx, w.t.at[node], w.t.store, op.Read)
	op.Read.Index = index
	var refused *client.Error
	switch {
	case err == nil:
	case errors.As(err, &refused) && refused.Code == "NAMESPACE_NOT_FOUND":
		op.Read.Missing, err = true, nil
	case errors.As(err, &refused):
		op.Outcome, op.Code = history.Fail, refused.Code
	default:
		op.Outcome, op.Code = history.Fail, "NO_ANSWER"
	}
	w.c.done(op)
	return err
}

// readPage reads the whole namespace that read names, and returns the index that the node says it
// is of.
func readPage(ctx context.Context, at *client.Client, store string, read *history.Read) (index uint64, err error) {
	o := client.ReadOptions{Consistency: client.Linearizable, Limit: 1000}
	if !read.Linearizable {
		o.Consistency = client.Stale
	}
	page, err := at.Records(ctx, store, read.Namespace, o)
	if err == nil && page.NextCursor != nil {
		err = errors.New("a namespace has more than a page")
	}
	if err != nil {
		return 0, err
	}
	for _, r := range page.Records {
		value, err := valueOf(r.Data)
		if err != nil {
			return 0, err
		}
		read.Records = append(read.Records, history.Record{ID: r.ID, Value: value, Index: r.Index})
	}
	return page.Index, nil
}

// settle sends again, with its key, what nobody has an answer to, to some of the nodes,
// until all is known.
func (c *clients) settle(ctx context.Context, nodes []int) error {
	for _, o := range c.open {
		if err := c.settleOne(ctx, o, nodes); err != nil {
			return err
		}
	}
	return nil
}

// settleOne does so for one, and notes it when it has an answer.
func (c *clients) settleOne(ctx context.Context, o open, nodes []int) error {
	for i := 0; ; i++ {
		o.op.Requests++
		reply, err := o.t.at[nodes[i%len(nodes)]].Sync(ctx, o.req)
		if err == nil {
			answered(o.op, reply)
			c.done(o.op)
			return nil
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return fmt.Errorf("settling the sync with key %s of %s: %w", o.req.IdempotencyKey, o.t.org, err)
		}
	}
}

// readAll reads namespaces of an organization through each of some nodes.
func (c *clients) readAll(ctx context.Context, t *tenant, nodes []int, namespaces []string) error {
	w := &worker{c: c, t: t, id: int(c.ids.Add(1))}
	for _, node := range nodes {
		for _, namespace := range namespaces {
			if err := w.read(ctx, node, namespace, true); err != nil {
				return fmt.Errorf("reading %s of %s in the end: %w", namespace, t.org, err)
			}
		}
	}
	return nil
}
