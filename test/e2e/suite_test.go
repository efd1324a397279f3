package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pipesync/client"
	"pipesync/internal/testcluster"
)

// testDeadline bounds what one test may wait for, long tests excepted.
const testDeadline = 90 * time.Second

// suite is one test's view of a cluster. All that goes through it is held
// against the OpenAPI document.
type suite struct {
	*testing.T
	*testcluster.Cluster
	http *http.Client
	ctx  context.Context
}

// shared is a cluster of three that all tests use which leave it as it was.
func shared(t *testing.T) *suite {
	t.Helper()
	sharedOnce.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), testDeadline)
		defer cancel()
		c, err := testcluster.Start(ctx, testcluster.Config{Binary: binary, Dir: sharedDir, Nodes: 3})
		if err != nil {
			t.Errorf("starting the shared cluster: %v", err)
			return
		}
		sharedCluster = c
	})
	if sharedCluster == nil {
		t.Fatal("there is no shared cluster")
	}
	t.Cleanup(func() {
		if t.Failed() {
			for _, n := range sharedCluster.Nodes {
				t.Log(n.Tail(25))
			}
		}
	})
	return newSuite(t, sharedCluster, testDeadline)
}

// own is a cluster that this test alone uses and may break.
func own(t *testing.T, nodes int, deadline time.Duration) *suite {
	t.Helper()
	return newSuite(t, testcluster.New(t, testcluster.Config{Binary: binary, Nodes: nodes}), deadline)
}

func newSuite(t *testing.T, c *testcluster.Cluster, deadline time.Duration) *suite {
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	t.Cleanup(cancel)
	return &suite{T: t, Cluster: c, http: checkedClient(t), ctx: ctx}
}

// must ends the test if err is set.
func (s *suite) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// await polls check until it returns nil.
func (s *suite) await(what string, check func(context.Context) error) {
	s.Helper()
	s.must(testcluster.Await(s.ctx, what, check))
}

func (s *suite) leader() *testcluster.Node {
	s.Helper()
	n, err := s.Leader(s.ctx)
	s.must(err)
	return n
}

func (s *suite) follower() *testcluster.Node {
	s.Helper()
	all, err := s.Followers(s.ctx)
	s.must(err)
	return all[0]
}

// admin speaks to one node with the admin token.
func (s *suite) admin(n *testcluster.Node) *client.Client {
	return client.New(client.Options{Addrs: []string{n.HTTP}, AdminToken: s.AdminToken, HTTPClient: s.http})
}

// tenant is an organization with a key whose default store is its only one.
type tenant struct{ org, store, key, keyID string }

var tenants atomic.Uint64

// tenant makes an organization that no other test uses, through node via.
func (s *suite) tenant(via *testcluster.Node) tenant {
	s.Helper()
	i := tenants.Add(1)
	tn := tenant{org: fmt.Sprintf("org_e2e%d", i), store: fmt.Sprintf("vs_e2e%d", i)}
	key, err := s.admin(via).CreateKey(s.ctx, client.KeyRequest{OrganizationID: tn.org, Name: s.Name(), VectorStoreID: tn.store})
	s.must(err)
	tn.key, tn.keyID = key.Key, key.KeyID
	return tn
}

// as speaks to one node with the tenant's key.
func (s *suite) as(tn tenant, n *testcluster.Node) *client.Client {
	return client.New(client.Options{Addrs: []string{n.HTTP}, APIKey: tn.key, HTTPClient: s.http})
}

func (tn tenant) batch(mode string, ops ...client.Operation) client.SyncRequest {
	if ops == nil {
		ops = []client.Operation{}
	}
	return client.SyncRequest{OrganizationID: tn.org, VectorStoreID: tn.store, Mode: mode,
		Timestamp: time.Now().UTC().Format(time.RFC3339Nano), Operations: ops}
}

func upsert(namespace, id, data string) client.Operation {
	return client.Operation{Action: client.Upsert, Namespace: namespace, ID: id, Data: json.RawMessage(data)}
}

func remove(namespace, id string) client.Operation {
	return client.Operation{Action: client.Delete, Namespace: namespace, ID: id}
}

// reply is a whole HTTP reply.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// request is one for send; the zero value of a field leaves it out.
type request struct {
	method string // default POST where there is a body, else GET
	path   string // escaped, with query
	key    string
	bearer string
	body   any // []byte and string are sent as they are, everything else as JSON
	header map[string]string
}

// send does one request to one node and returns whatever it answers; err is
// set only where there was no whole answer.
func (s *suite) send(n *testcluster.Node, r request) (reply, error) {
	var body io.Reader
	switch b := r.body.(type) {
	case nil:
	case []byte:
		body = bytes.NewReader(b)
	case string:
		body = strings.NewReader(b)
	default:
		text, err := json.Marshal(b)
		if err != nil {
			return reply{}, err
		}
		body = bytes.NewReader(text)
	}
	method := r.method
	if method == "" {
		method = http.MethodGet
		if body != nil {
			method = http.MethodPost
		}
	}
	req, err := http.NewRequestWithContext(s.ctx, method, n.HTTP+r.path, body)
	if err != nil {
		return reply{}, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if r.key != "" {
		req.Header.Set("X-API-Key", r.key)
	}
	if r.bearer != "" {
		req.Header.Set("Authorization", "Bearer "+r.bearer)
	}
	for name, value := range r.header {
		req.Header.Set(name, value)
	}
	resp, err := s.http.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return reply{}, err
	}
	return reply{resp.StatusCode, resp.Header, text}, nil
}

const syncPath = "/v1/pipeline/sync"

// sync posts a batch to one node and expects an answer of some kind.
func (s *suite) sync(n *testcluster.Node, tn tenant, body any) reply {
	s.Helper()
	return s.answer(n, request{path: syncPath, key: tn.key, body: body})
}

func (s *suite) answer(n *testcluster.Node, r request) reply {
	s.Helper()
	got, err := s.send(n, r)
	s.must(err)
	return got
}

// ok decodes a 200's body.
func (s *suite) ok(r reply) client.SyncReply {
	s.Helper()
	if r.status != http.StatusOK {
		s.Fatalf("status %d, want 200: %s", r.status, r.body)
	}
	var out client.SyncReply
	s.must(json.Unmarshal(r.body, &out))
	return out
}

// envelope is the error of a reply that isn't 2xx.
type envelope struct {
	Success bool `json:"success"`
	Error   struct {
		Code         string          `json:"code"`
		Message      string          `json:"message"`
		Status       int             `json:"status"`
		Retryable    bool            `json:"retryable"`
		RequestID    string          `json:"request_id"`
		Details      []client.Detail `json:"details"`
		DetailsTotal int             `json:"details_total"`
	} `json:"error"`
}

// refused checks a reply's status and code and returns its envelope.
func (s *suite) refused(r reply, status int, code string) envelope {
	s.Helper()
	var e envelope
	if err := json.Unmarshal(r.body, &e); err != nil {
		s.Fatalf("status %d with a body that is no envelope: %v: %.300s", r.status, err, r.body)
	}
	if r.status != status || e.Error.Code != code || e.Error.Status != status || e.Success {
		s.Fatalf("answer %d %s, want %d %s: %.500s", r.status, e.Error.Code, status, code, r.body)
	}
	return e
}

// all reads a whole namespace from one node, linearizably, page by page.
func (s *suite) all(n *testcluster.Node, tn tenant, namespace string) map[string]client.Record {
	s.Helper()
	found := map[string]client.Record{}
	opts := client.ReadOptions{Consistency: client.Linearizable, Limit: 1000}
	for {
		page, err := s.as(tn, n).Records(s.ctx, tn.store, namespace, opts)
		s.must(err)
		for _, r := range page.Records {
			if _, twice := found[r.ID]; twice {
				s.Fatalf("%s lists %q twice", n.ID, r.ID)
			}
			found[r.ID] = r
		}
		if page.NextCursor == nil {
			return found
		}
		opts.Cursor = *page.NextCursor
	}
}
