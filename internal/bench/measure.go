package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"pipesync/client"
	"pipesync/internal/testcluster"
)

// requestsPerMinute is the most that an organization may be given.
const requestsPerMinute = 10_000

// result is one workload's figures; times are of whole requests, in milliseconds.
type result struct {
	Workload         string  `json:"workload"`
	Via              string  `json:"via"` // follower or leader
	Syncs            int     `json:"syncs"`
	P50              float64 `json:"p50_ms"`
	P90              float64 `json:"p90_ms"`
	Max              float64 `json:"max_ms"`
	RecordsPerSecond float64 `json:"records_per_second"`
	// ProcessorPerSync is the processor time of all nodes together, what they do in
	// the background meanwhile included.
	ProcessorPerSync float64 `json:"processor_ms_per_sync"`
	// Ratio is RecordsPerSecond as a multiple of the first workload's.
	Ratio float64 `json:"ratio"`
}

// workload is one kind of sync.
type workload struct {
	name   string
	leader bool
	next   func() []int // the records of its next sync
	// did says what each record of a reply is to have been.
	did func(d client.Details) uint64
}

func (b *bench) workloads() []workload {
	r, o := b.records, b.options
	created := func(d client.Details) uint64 { return d.Created }
	return []workload{
		{name: "new records", next: func() []int { return r.fresh(o.operations) }, did: created},
		{
			name: "the same again, nothing changes",
			next: func() []int { return r.again(o.existing, o.operations) },
			did:  func(d client.Details) uint64 { return d.Unchanged },
		},
		{
			name: "random records, other content",
			next: func() []int { return r.changed(o.existing, o.operations) },
			did:  func(d client.Details) uint64 { return d.Updated },
		},
		{name: "new records, through the leader", leader: true, next: func() []int { return r.fresh(o.operations) }, did: created},
	}
}

// blockSyncs of one workload follow each other: what they leave to be done in the
// background, such as compactions, falls on themselves for the most part.
const blockSyncs = 20

// measure loads the records that the workloads find, and then makes a block of syncs
// of each workload in turn: whatever else the machine does meets them all alike.
func measure(ctx context.Context, c *testcluster.Cluster, o options, progress io.Writer) ([]result, error) {
	b := &bench{cluster: c, options: o, records: newRecords(o.recordBytes)}
	if err := b.prepare(ctx); err != nil {
		return nil, err
	}
	fmt.Fprintf(progress, "loading %d records\n", o.existing)
	all := b.workloads()
	for len(b.records.versions) < o.existing {
		if _, err := b.sync(ctx, all[0]); err != nil {
			return nil, fmt.Errorf("loading: %w", err)
		}
	}
	times, processor := make([][]time.Duration, len(all)), make([]time.Duration, len(all))
	fmt.Fprintf(progress, "%d workloads in turn, %d syncs of %d operations each\n", len(all), o.syncs, o.operations)
	for done := 0; done < o.syncs; done += blockSyncs {
		for i, w := range all {
			before, err := processorTime(c)
			if err != nil {
				return nil, err
			}
			for range min(blockSyncs, o.syncs-done) {
				took, err := b.sync(ctx, w)
				if err != nil {
					return nil, fmt.Errorf("measuring %s: %w", w.name, err)
				}
				times[i] = append(times[i], took)
			}
			after, err := processorTime(c)
			if err != nil {
				return nil, err
			}
			processor[i] += after - before
		}
	}
	results := make([]result, len(all))
	for i, w := range all {
		results[i] = b.result(w, times[i])
		results[i].ProcessorPerSync = milliseconds(processor[i]) / float64(o.syncs)
		results[i].Ratio = results[i].RecordsPerSecond / results[0].RecordsPerSecond
	}
	return results, nil
}

type bench struct {
	cluster *testcluster.Cluster
	options options
	records *records
	key     string
}

func (b *bench) prepare(ctx context.Context) error {
	admin := b.cluster.Client("")
	key, err := admin.CreateKey(ctx, client.KeyRequest{OrganizationID: benchOrganization, VectorStoreID: benchStore})
	if err != nil {
		return fmt.Errorf("making a key: %w", err)
	}
	b.key = key.Key
	if _, err := admin.SetLimits(ctx, benchOrganization, client.Figures{"requests_per_window": requestsPerMinute}); err != nil {
		return fmt.Errorf("raising the limit: %w", err)
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

// sync makes one sync and returns how long the whole request took.
func (b *bench) sync(ctx context.Context, w workload) (time.Duration, error) {
	n, err := b.node(ctx, w.leader)
	if err != nil {
		return 0, err
	}
	body, err := b.records.body(w.next())
	if err != nil {
		return 0, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, n.HTTP+"/v1/pipeline/sync", bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("X-API-Key", b.key)
	req.Header.Set("Content-Type", "application/json")
	started := time.Now()
	resp, err := b.cluster.HTTPClient().Do(req)
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
	var reply client.SyncReply
	if err := json.Unmarshal(text, &reply); err != nil {
		return 0, fmt.Errorf("reading a reply: %w", err)
	}
	if did := w.did(reply.Details); did != uint64(b.options.operations) {
		return 0, fmt.Errorf("a sync did what was meant to %d of %d records: %+v", did, b.options.operations, reply.Details)
	}
	return took, nil
}

func (b *bench) result(w workload, times []time.Duration) result {
	r := result{Workload: w.name, Via: "follower", Syncs: len(times)}
	if w.leader {
		r.Via = "leader"
	}
	var total time.Duration
	for _, t := range times {
		total += t
	}
	slices.Sort(times)
	r.P50, r.P90, r.Max = milliseconds(times[len(times)/2]), milliseconds(times[len(times)*9/10]), milliseconds(times[len(times)-1])
	r.RecordsPerSecond = float64(len(times)*b.options.operations) / total.Seconds()
	return r
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
