package simcluster

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const (
	organizations = 8
	store         = "vs_main"
	// thinkTime is how long a client waits between two requests, on average.
	thinkTime = time.Second
	// minPatience and maxPatience bound how long it waits for an answer.
	minPatience, maxPatience = time.Second, 15 * time.Second
	attemptsMax              = 5
	recordsPerNamespace      = 10
	pushedRecords            = 6
	// maxLate and maxEarly are how far a timestamp may be off.
	maxLate, maxEarly = 90 * time.Second, 10 * time.Second
)

// tracked namespaces have syncs without timestamps, which the order of the log
// decides about.
var tracked = []string{"alpha", "beta", "gamma"}

// late has syncs with timestamps.
const late = "late"

// client sends requests, one after another.
type client struct {
	w    *world
	name string
	rng  *rand.Rand
	sent int
	at   *machine // nil: any
	key  *apiKey  // nil: the organization's of now
}

// run works until ctx ends.
func (c *client) run(ctx context.Context) {
	for c.think(ctx) {
		switch n := c.rng.IntN(100); {
		case n < 8:
			c.list(ctx)
		case n < 26:
			c.read(ctx)
		case n < 32:
			c.checkpoint(ctx)
		case n < 34:
			c.remove(ctx)
		default:
			c.sync(ctx)
		}
	}
}

func (c *client) think(ctx context.Context) bool {
	return sleep(ctx, time.Duration(c.rng.ExpFloat64()*float64(thinkTime)))
}

// sleep returns false when ctx has ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// org prefers the first organizations, whose windows are full now and then.
func (c *client) org() string {
	return fmt.Sprintf("org_%d", min(c.rng.IntN(organizations), c.rng.IntN(organizations)))
}

// send sends a request under a key of the organization to any machine, and waits for
// the answer as long as it may.
func (c *client) send(ctx context.Context, r *http.Request, key *apiKey) (answer, bool) {
	r.Header.Set("X-API-Key", key.secret)
	ctx, cancel := context.WithTimeout(ctx, minPatience+time.Duration(c.rng.Int64N(int64(maxPatience-minPatience))))
	defer cancel()
	m := c.at
	if m == nil {
		m = c.w.anyMachine(c.rng)
	}
	return m.call(ctx, r)
}

// sync sends one, again and again while that may help: under an idempotency key
// the same, else one of new content.
func (c *client) sync(ctx context.Context) { c.syncTo(ctx, c.org()) }

func (c *client) syncTo(ctx context.Context, org string) {
	keyed := c.rng.IntN(2) == 0
	var body, token string
	for attempt := 0; attempt < attemptsMax; attempt++ {
		if body == "" || !keyed {
			c.sent++
			token = fmt.Sprintf("%s.%d", c.name, c.sent)
			body = c.compose(org, token)
		}
		r := httptest.NewRequest(http.MethodPost, "/v1/pipeline/sync", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		if keyed {
			r.Header.Set("Idempotency-Key", token)
		}
		c.w.ledger.asked(token)
		key := c.keyOf(org)
		a, sent := c.send(ctx, r, key)
		if !c.told(token, key, a, sent) || !c.think(ctx) {
			return
		}
	}
}

func (c *client) keyOf(org string) *apiKey {
	if c.key != nil {
		return c.key
	}
	return c.w.key(org)
}

// told hands an answer to the ledger, and returns whether to try again.
func (c *client) told(token string, key *apiKey, a answer, sent bool) (again bool) {
	l := c.w.ledger
	switch {
	case !sent:
		l.denied(token, "connection refused")
		return true
	case a == nil:
		l.unanswered(token)
		return true
	case a.Code == http.StatusOK:
		var reply struct {
			SyncID string `json:"sync_id"`
			Index  uint64 `json:"index"`
		}
		if err := json.Unmarshal(a.Body.Bytes(), &reply); err != nil {
			c.w.violate("the answer to %s: %v", token, err)
		}
		l.answered(token, reply.Index, reply.SyncID)
		c.w.counts.acked.Add(1)
		return c.rng.IntN(20) == 0 // as if the answer had been lost
	}
	f := c.failure(a, key, syncRefusals)
	if f.Code == "OUTCOME_UNKNOWN" {
		l.unanswered(token)
	} else {
		l.denied(token, f.Code)
	}
	return f.Retryable && f.Code != "RATE_LIMIT_EXCEEDED" || f.Code == "INVALID_API_KEY"
}

type failure struct {
	Code      string `json:"code"`
	Retryable bool   `json:"retryable"`
}

// passing are the answers of a node that can't do it just now; syncRefusals those
// that a sync of this workload may meet besides.
var (
	passing      = []string{"NO_LEADER", "NOT_READY", "NOT_JOINED", "OVERLOADED"}
	syncRefusals = []string{
		"OUTCOME_UNKNOWN", "RATE_LIMIT_EXCEEDED", "SYNC_TIMESTAMP_IN_FUTURE", "SYNC_TOO_OLD", "STALE_REFRESH", "STALE_SYNC",
		"QUOTA_EXCEEDED", "RECONCILE_BACKLOG",
	}
)

// failure reads an answer that isn't a success: one of those that may be.
func (c *client) failure(a answer, key *apiKey, also []string) failure {
	var reply struct {
		Error failure `json:"error"`
	}
	err := json.Unmarshal(a.Body.Bytes(), &reply)
	code := reply.Error.Code
	if err != nil || !slices.Contains(passing, code) && !slices.Contains(also, code) && !key.lost(code) {
		c.w.violate("an answer that nothing here explains: %s, to key %+v", a.Body, key)
	}
	c.w.counts.answer(code)
	return reply.Error
}

// compose writes a sync. Its first operation brings the token.
func (c *client) compose(org, token string) string {
	mode, timestamp, namespaces, pipeline := "incremental", "", tracked, "crm"
	switch c.rng.IntN(10) {
	case 0:
		mode = "full_refresh"
	case 1, 2:
		at := time.Now().Add(time.Duration(c.rng.Int64N(int64(maxLate+maxEarly))) - maxLate)
		timestamp, namespaces, pipeline = fmt.Sprintf(`"sync_timestamp":%q,`, at.UTC().Format(time.RFC3339Nano)), []string{late}, late
		if c.rng.IntN(8) == 0 {
			mode = "full_refresh"
		}
	}
	first := namespaces[c.rng.IntN(len(namespaces))]
	deletes := 5
	if pipeline == late {
		deletes = 2
	}
	var ops []string
	for n := range 1 + c.rng.IntN(5) {
		ns, id := first, fmt.Sprintf("r%d", c.rng.IntN(recordsPerNamespace))
		if mode == "incremental" && c.rng.IntN(4) == 0 {
			ns = namespaces[c.rng.IntN(len(namespaces))]
		}
		if n > 0 && c.rng.IntN(deletes) == 0 {
			ops = append(ops, fmt.Sprintf(`{"action":"delete","namespace":%q,"id":%q}`, ns, id))
			continue
		}
		data, err := json.Marshal(content{token, n})
		if err != nil {
			panic(err)
		}
		ops = append(ops, fmt.Sprintf(`{"action":"upsert","namespace":%q,"id":%q,"data":%s}`, ns, id, data))
	}
	if mode == "incremental" && c.rng.IntN(3) == 0 {
		ops = append(ops, c.push(first)...)
	}
	checkpoint := ""
	if c.rng.IntN(3) == 0 {
		checkpoint = fmt.Sprintf(`"checkpoint":{"pipeline":%q,"state":%q},`, pipeline, token)
	}
	return fmt.Sprintf(`{"organization_id":%q,"sync_mode":%q,%s%s"operations":[%s]}`, org, mode, timestamp, checkpoint, strings.Join(ops, ","))
}

// push are upserts of what is often there already, and of so many bytes that their entry
// needn't have them.
func (c *client) push(ns string) (ops []string) {
	for id := range 1 + c.rng.IntN(pushedRecords) {
		ops = append(ops, fmt.Sprintf(`{"action":"upsert","namespace":%q,"id":"pushed%d","data":{"v":%d,"text":%q}}`,
			ns, id, c.rng.IntN(8)/7, strings.Repeat("text", 100)))
	}
	return ops
}

// get sends a linearizable read, or one that may be stale, and returns the index
// that the answer shows. floor is 0 for one that may be stale.
func (c *client) get(ctx context.Context, org, path string) (a answer, index, floor uint64) {
	if c.rng.IntN(8) == 0 {
		path += "consistency=stale&"
	} else {
		floor = c.w.ledger.floor()
	}
	key := c.keyOf(org)
	a, _ = c.send(ctx, httptest.NewRequest(http.MethodGet, path, nil), key)
	if a == nil {
		return nil, 0, 0
	}
	index, _ = strconv.ParseUint(a.Header().Get("X-Pipesync-Index"), 10, 64)
	if a.Code != http.StatusOK && !slices.Contains(absent, c.failure(a, key, absent).Code) {
		return nil, 0, 0
	}
	c.w.counts.reads.Add(1)
	c.w.ledger.served(key.id, index)
	return a, index, floor
}

// absent are answers of reads that the ledger knows.
var absent = []string{"RECORD_NOT_FOUND", "NAMESPACE_NOT_FOUND", "CHECKPOINT_NOT_FOUND"}

// any is a namespace that a read asks for.
func (c *client) any() string {
	if n := c.rng.IntN(len(tracked) + 1); n < len(tracked) {
		return tracked[n]
	}
	return late
}

// checkpoint reads one, or now and then has it forgotten.
func (c *client) checkpoint(ctx context.Context) {
	org, pipeline := c.org(), []string{"crm", late}[c.rng.IntN(2)]
	if c.rng.IntN(10) == 0 {
		c.delete(ctx, org, "/v1/pipeline/checkpoints/"+pipeline, "CHECKPOINT_NOT_FOUND")
		return
	}
	a, index, floor := c.get(ctx, org, "/v1/pipeline/checkpoints/"+pipeline+"?")
	if a == nil {
		return
	}
	var reply struct {
		State jsontext.Value `json:"state"`
	}
	if a.Code == http.StatusOK {
		if err := json.Unmarshal(a.Body.Bytes(), &reply); err != nil {
			c.w.violate("a checkpoint: %v", err)
		}
	}
	c.w.ledger.checkpointRead(org, pipeline, string(reply.State), index, floor)
}

// remove removes a namespace. The ledger learns of it from the log.
func (c *client) remove(ctx context.Context) {
	c.delete(ctx, c.org(), "/v1/vector-stores/"+store+"/namespaces/"+c.any(), "NAMESPACE_NOT_FOUND", "RECONCILE_BACKLOG")
}

func (c *client) delete(ctx context.Context, org, path string, also ...string) {
	key := c.keyOf(org)
	a, _ := c.send(ctx, httptest.NewRequest(http.MethodDelete, path, nil), key)
	if a != nil && a.Code != http.StatusOK {
		c.failure(a, key, append(also, "OUTCOME_UNKNOWN"))
	}
}

func (c *client) read(ctx context.Context) {
	org, ns := c.org(), c.any()
	id := fmt.Sprintf("r%d", c.rng.IntN(recordsPerNamespace))
	a, index, floor := c.get(ctx, org, "/v1/vector-stores/"+store+"/namespaces/"+ns+"/records/"+id+"?")
	if a == nil {
		return
	}
	var record struct {
		Data jsontext.Value `json:"data"`
	}
	if a.Code == http.StatusOK {
		if err := json.Unmarshal(a.Body.Bytes(), &record); err != nil {
			c.w.violate("a record: %v", err)
		}
	}
	c.w.ledger.read(org, ns, id, string(record.Data), index, floor)
}

func (c *client) list(ctx context.Context) {
	org, ns := c.org(), c.any()
	a, index, floor := c.get(ctx, org, "/v1/vector-stores/"+store+"/namespaces/"+ns+"/records?")
	if a == nil {
		return
	}
	var reply struct {
		Records []struct {
			ID   string         `json:"id"`
			Data jsontext.Value `json:"data"`
		} `json:"records"`
	}
	if a.Code == http.StatusOK {
		if err := json.Unmarshal(a.Body.Bytes(), &reply); err != nil {
			c.w.violate("a list: %v", err)
		}
	}
	records := make(map[string]string)
	for _, r := range reply.Records {
		records[r.ID] = string(r.Data)
	}
	c.w.ledger.listed(org, ns, records, index, floor)
}
