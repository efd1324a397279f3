package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"pipesync/client"
	"pipesync/internal/testcluster"
)

// warmUps are syncs of the first workload that aren't measured.
const warmUps = 5

// result is one workload's figures; times are of whole requests, in milliseconds.
type result struct {
	Workload         string  `json:"workload"`
	Via              string  `json:"via"` // follower or leader
	Syncs            int     `json:"syncs"`
	P50              float64 `json:"p50_ms"`
	P90              float64 `json:"p90_ms"`
	Max              float64 `json:"max_ms"`
	RecordsPerSecond float64 `json:"records_per_second"`
}

// workload is a series of syncs, one after the other, to one node. version
// tells records with other content apart, first those with other ids.
type workload struct {
	name           string
	leader         bool
	first, version int
}

func measure(ctx context.Context, c *testcluster.Cluster, o options, progress io.Writer) ([]result, error) {
	b := &bench{cluster: c, options: o}
	if err := b.makeKeys(ctx); err != nil {
		return nil, err
	}
	if _, err := b.run(ctx, workload{name: "warm-up", first: -warmUps}, warmUps); err != nil {
		return nil, err
	}
	var all []result
	for _, w := range []workload{
		{name: "new records, through a follower"},
		{name: "the same again (nothing changes)"},
		{name: "the same ids, other content", version: 1},
		{name: "new records, through the leader", leader: true, first: o.syncs},
	} {
		fmt.Fprintf(progress, "%s: %d syncs of %d operations\n", w.name, o.syncs, o.operations)
		r, err := b.run(ctx, w, o.syncs)
		if err != nil {
			return nil, fmt.Errorf("measuring %s: %w", w.name, err)
		}
		all = append(all, r)
	}
	return all, nil
}

type bench struct {
	cluster *testcluster.Cluster
	options options
	keys    []string // by organization
}

func organization(i int) string { return fmt.Sprintf("org_bench%d", i) }

func (b *bench) makeKeys(ctx context.Context) error {
	for i := range b.options.organizations {
		key, err := b.cluster.Client("").CreateKey(ctx, client.KeyRequest{OrganizationID: organization(i), VectorStoreID: "vs_bench"})
		if err != nil {
			return fmt.Errorf("making a key: %w", err)
		}
		b.keys = append(b.keys, key.Key)
	}
	return nil
}

func (b *bench) node(ctx context.Context, leader bool) (*testcluster.Node, error) {
	if leader {
		return b.cluster.Leader(ctx)
	}
	all, err := b.cluster.Followers(ctx)
	if err != nil {
		return nil, err
	}
	return all[0], nil
}

func (b *bench) run(ctx context.Context, w workload, syncs int) (result, error) {
	n, err := b.node(ctx, w.leader)
	if err != nil {
		return result{}, err
	}
	r := result{Workload: w.name, Via: "follower", Syncs: syncs}
	if w.leader {
		r.Via = "leader"
	}
	var times []time.Duration
	var total time.Duration
	for i := range syncs {
		which := i % b.options.organizations
		body, err := b.body(which, w.first+i, w.version)
		if err != nil {
			return r, err
		}
		took, err := b.post(ctx, n, b.keys[which], body)
		if err != nil {
			return r, err
		}
		times = append(times, took)
		total += took
	}
	slices.Sort(times)
	r.P50, r.P90, r.Max = milliseconds(times[len(times)/2]), milliseconds(times[len(times)*9/10]), milliseconds(times[len(times)-1])
	r.RecordsPerSecond = float64(syncs*b.options.operations) / total.Seconds()
	return r, nil
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// body is made before the clock starts: a pipeline's own work isn't measured.
func (b *bench) body(org, number, version int) ([]byte, error) {
	batch := client.SyncRequest{
		OrganizationID: organization(org), VectorStoreID: "vs_bench", Mode: client.Incremental,
		Timestamp: time.Now().UTC().Format(time.RFC3339Nano),
	}
	for i := range b.options.operations {
		id := fmt.Sprintf("batch%d/record%d", number, i)
		data := fmt.Sprintf(`{"id":%q,"version":%d,"text":"`, id, version)
		data += strings.Repeat("x", max(0, b.options.recordBytes-len(data)-2)) + `"}`
		batch.Operations = append(batch.Operations, client.Operation{
			Action: client.Upsert, Namespace: "bench", ID: id, Data: json.RawMessage(data),
		})
	}
	return json.Marshal(batch)
}

// post returns how long one whole request took.
func (b *bench) post(ctx context.Context, n *testcluster.Node, key string, body []byte) (time.Duration, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, n.HTTP+"/v1/pipeline/sync", bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("X-API-Key", key)
	req.Header.Set("Content-Type", "application/json")
	started := time.Now()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	took := time.Since(started)
	if err != nil {
		return 0, err
	}
	if resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("%s answered %d: %.300s", n.ID, resp.StatusCode, text)
	}
	return took, nil
}
