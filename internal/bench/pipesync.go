package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"

	"pipesync/client"
	"pipesync/internal/bench/load"
	"pipesync/internal/testcluster"
)

const (
	// requestsPerMinute is the most that organizations may be given.
	requestsPerMinute = 10_000
	// singlesOrganizations share single operations, so that no limit is in their way.
	singlesOrganizations = 64
)

// pipesync is a cluster of three processes, given jobs over HTTP.
type pipesync struct {
	cluster *testcluster.Cluster
	batches *place
	singles *place
}

func newPipesync(ctx context.Context, c *testcluster.Cluster) (*pipesync, error) {
	if _, err := c.Client("").SetSettings(ctx, client.Figures{"requests_per_window": requestsPerMinute}); err != nil {
		return nil, fmt.Errorf("raising the limit: %w", err)
	}
	one, err := newTenant(ctx, c, "org_bench")
	if err != nil {
		return nil, err
	}
	var many []tenant
	for i := range singlesOrganizations {
		t, err := newTenant(ctx, c, fmt.Sprintf("org_single_%d", i))
		if err != nil {
			return nil, err
		}
		many = append(many, t)
	}
	return &pipesync{cluster: c, batches: newPlace(1, one), singles: newPlace(1, many...)}, nil
}

// Run does a job in the place that such jobs have.
func (p *pipesync) Run(ctx context.Context, j load.Job) (load.Figures, error) {
	if j.Operations == 1 && j.Kind != load.Read {
		return p.in(ctx, p.singles, j)
	}
	return p.in(ctx, p.batches, j)
}

func (p *pipesync) in(ctx context.Context, where *place, j load.Job) (load.Figures, error) {
	requests, err := where.prepare(j)
	if err != nil {
		return load.Figures{}, err
	}
	nodes, err := p.nodes(ctx, j.To)
	if err != nil {
		return load.Figures{}, err
	}
	return load.Run(ctx, j, func(ctx context.Context, c, i int) error {
		return p.send(ctx, requests[i], nodes[c%len(nodes)], j)
	})
}

func (p *pipesync) nodes(ctx context.Context, where string) ([]*testcluster.Node, error) {
	switch where {
	case load.Leader:
		leader, err := p.cluster.Leader(ctx)
		return []*testcluster.Node{leader}, err
	case load.Followers:
		return p.cluster.Followers(ctx)
	}
	return p.cluster.Nodes, nil
}

// leader is which of the cluster's nodes leads.
func (p *pipesync) leader(ctx context.Context) (int, error) {
	n, err := p.cluster.Leader(ctx)
	return slices.Index(p.cluster.Nodes, n), err
}

// send sends a request of a job, and holds what comes back against what was asked.
func (p *pipesync) send(ctx context.Context, request prepared, n *testcluster.Node, j load.Job) error {
	text, err := p.do(ctx, request, n)
	if err != nil || j.Kind == load.Read {
		return err
	}
	return checkReply(text, j)
}

// do returns the body of what a request is answered with.
func (p *pipesync) do(ctx context.Context, request prepared, n *testcluster.Node) ([]byte, error) {
	req, err := request(ctx, n)
	if err != nil {
		return nil, err
	}
	resp, err := p.cluster.HTTPClient().Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s was answered with %d: %.300s", req.URL, resp.StatusCode, text)
	}
	return text, nil
}

// checkReply has an error where a sync did something else than such a job's should.
func checkReply(text []byte, j load.Job) error {
	var reply client.SyncReply
	if err := json.Unmarshal(text, &reply); err != nil {
		return fmt.Errorf("reading a reply: %w", err)
	}
	d := reply.Details
	did := map[string]uint64{load.Fresh: d.Created, load.Update: d.Updated, load.Repush: d.Unchanged + d.Updated}[j.Kind]
	if did != uint64(j.Operations) {
		return fmt.Errorf("a sync of %d records, %s, did this to them: %+v", j.Operations, j.Kind, d)
	}
	return nil
}
