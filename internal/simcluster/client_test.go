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
)

// tracked namespaces have syncs without timestamps, which the order of the log
// decides about, so that the ledger can tell what they hold.
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
}

// run works until ctx ends.
func (c *client) run(ctx context.Context) {
	for c.think(ctx) {
		switch c.rng.IntN(10) {
		case 0:
			c.list(ctx)
		case 1, 2, 3:
			c.read(ctx)
		default:
			c.sync(ctx)
		}
	}
}

func (c *client) think(ctx context.Context) bool {
	timer := time.NewTimer(time.Duration(c.rng.ExpFloat64() * float64(thinkTime)))
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

// send sends a request to any machine and waits for the answer as long as it may.
func (c *client) send(ctx context.Context, r *http.Request) (answer, bool) {
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
func (c *client) sync(ctx context.Context) {
	org := c.org()
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
		r.Header.Set("X-API-Key", c.w.keys[org])
		if keyed {
			r.Header.Set("Idempotency-Key", token)
		}
		c.w.ledger.asked(token)
		a, sent := c.send(ctx, r)
		if !c.told(token, a, sent) || !c.think(ctx) {
			return
		}
	}
}

// told hands an answer to the ledger, and returns whether to try again.
func (c *client) told(token string, a answer, sent bool) (again bool) {
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
	f := c.failure(a, syncRefusals)
	if f.Code == "OUTCOME_UNKNOWN" {
		l.unanswered(token)
	} else {
		l.denied(token, f.Code)
	}
	return f.Retryable && f.Code != "RATE_LIMIT_EXCEEDED"
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
	}
)

// failure reads an answer that isn't a success: one of those that may be.
func (c *client) failure(a answer, also []string) failure {
	var reply struct {
		Error failure `json:"error"`
	}
	err := json.Unmarshal(a.Body.Bytes(), &reply)
	if err != nil || !slices.Contains(passing, reply.Error.Code) && !slices.Contains(also, reply.Error.Code) {
		c.w.violate("an answer that nothing here explains: %s", a.Body)
	}
	c.w.counts.answer(reply.Error.Code)
	return reply.Error
}

// compose writes a sync. Its first operation brings the token.
func (c *client) compose(org, token string) string {
	mode, timestamp, namespaces := "incremental", "", tracked
	switch c.rng.IntN(10) {
	case 0:
		mode = "full_refresh"
	case 1:
		at := time.Now().Add(time.Duration(c.rng.Int64N(int64(20*time.Second))) - 10*time.Second)
		timestamp, namespaces = fmt.Sprintf(`"sync_timestamp":%q,`, at.UTC().Format(time.RFC3339Nano)), []string{late}
	}
	first := namespaces[c.rng.IntN(len(namespaces))]
	var ops []string
	for n := range 1 + c.rng.IntN(5) {
		ns, id := first, fmt.Sprintf("r%d", c.rng.IntN(recordsPerNamespace))
		if mode == "incremental" && c.rng.IntN(4) == 0 {
			ns = namespaces[c.rng.IntN(len(namespaces))]
		}
		if n > 0 && c.rng.IntN(5) == 0 {
			ops = append(ops, fmt.Sprintf(`{"action":"delete","namespace":%q,"id":%q}`, ns, id))
			continue
		}
		data, err := json.Marshal(content{token, n})
		if err != nil {
			panic(err)
		}
		ops = append(ops, fmt.Sprintf(`{"action":"upsert","namespace":%q,"id":%q,"data":%s}`, ns, id, data))
	}
	return fmt.Sprintf(`{"organization_id":%q,"sync_mode":%q,%s"operations":[%s]}`, org, mode, timestamp, strings.Join(ops, ","))
}

// get sends a linearizable read, or one that may be stale, and returns the index
// that the answer shows. floor is 0 for one that may be stale.
func (c *client) get(ctx context.Context, org, path string) (a answer, index, floor uint64) {
	if c.rng.IntN(8) == 0 {
		path += "consistency=stale&"
	} else {
		floor = c.w.ledger.floor()
	}
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Header.Set("X-API-Key", c.w.keys[org])
	a, _ = c.send(ctx, r)
	if a == nil {
		return nil, 0, 0
	}
	index, _ = strconv.ParseUint(a.Header().Get("X-Pipesync-Index"), 10, 64)
	if a.Code == http.StatusOK || a.Code == http.StatusNotFound { // of the record, or the namespace: the ledger knows
		c.w.counts.reads.Add(1)
		return a, index, floor
	}
	c.failure(a, nil)
	return nil, 0, 0
}

func (c *client) read(ctx context.Context) {
	org, ns := c.org(), tracked[c.rng.IntN(len(tracked))]
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
	org, ns := c.org(), tracked[c.rng.IntN(len(tracked))]
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
