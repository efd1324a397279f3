package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"pipesync/client"
	"pipesync/internal/bench/load"
	"pipesync/internal/testcluster"
)

// tenant is an organization with a store.
type tenant struct{ org, store, key string }

func newTenant(ctx context.Context, c *testcluster.Cluster, org string) (tenant, error) {
	t := tenant{org: org, store: "vs_" + org}
	key, err := c.Client("").CreateKey(ctx, client.KeyRequest{OrganizationID: org, VectorStoreID: t.store})
	if err != nil {
		return t, fmt.Errorf("making a key: %w", err)
	}
	t.key = key.Key
	return t, nil
}

func (t tenant) to(ctx context.Context, method, url string, body []byte) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("X-API-Key", t.key)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, nil
}

// place is where records are: requests go to its tenants in turn, records to namespaces
// by their number. Of more than one tenant only what is fresh can be sent: the same
// record goes to another each time.
type place struct {
	tenants    []tenant
	namespaces int
	prefix     string // of their names
	mu         sync.Mutex
	records    *load.Records // under mu
}

func newPlace(namespaces int, tenants ...tenant) *place {
	return &place{tenants: tenants, namespaces: namespaces, prefix: "bench", records: load.NewRecords()}
}

// prepared is a request that is made before the clock starts, but for the node that it
// goes to: a pipeline's own work isn't measured.
type prepared func(context.Context, *testcluster.Node) (*http.Request, error)

// prepare makes the requests of a job.
func (p *place) prepare(j load.Job) ([]prepared, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	batches, err := p.records.Batches(j)
	if err != nil {
		return nil, err
	}
	all := make([]prepared, len(batches))
	for i, batch := range batches {
		t := p.tenants[i%len(p.tenants)]
		if j.Kind == load.Read {
			all[i] = p.read(t, batch[0])
			continue
		}
		if all[i], err = p.sync(t, client.Incremental, batch); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// len is how many records there are.
func (p *place) len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.records.Len()
}

func (p *place) namespace(r load.Record) string {
	return fmt.Sprintf("%s-%d", p.prefix, r.Number%p.namespaces)
}

func (p *place) read(t tenant, r load.Record) prepared {
	path := fmt.Sprintf("/v1/vector-stores/%s/namespaces/%s/records/%s?consistency=%s", t.store, p.namespace(r), r.ID, client.Linearizable)
	return func(ctx context.Context, n *testcluster.Node) (*http.Request, error) {
		return t.to(ctx, http.MethodGet, n.HTTP+path, nil)
	}
}

func (p *place) sync(t tenant, mode string, batch []load.Record) (prepared, error) {
	sync := client.SyncRequest{
		OrganizationID: t.org, VectorStoreID: t.store, Mode: mode, Timestamp: time.Now().UTC().Format(time.RFC3339Nano),
	}
	for _, r := range batch {
		sync.Operations = append(sync.Operations, client.Operation{
			Action: client.Upsert, Namespace: p.namespace(r), ID: r.ID, Data: json.RawMessage(r.Data),
		})
	}
	body, err := json.Marshal(sync)
	return func(ctx context.Context, n *testcluster.Node) (*http.Request, error) {
		return t.to(ctx, http.MethodPost, n.HTTP+"/v1/pipeline/sync", body)
	}, err
}

// refresh has the first request of a job replace all that its tenant has.
func (p *place) refresh(j load.Job) (prepared, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	batches, err := p.records.Batches(j)
	if err != nil {
		return nil, err
	}
	return p.sync(p.tenants[0], client.FullRefresh, batches[0])
}
