package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// node is a server that answers all requests alike, and remembers the last.
type node struct {
	*httptest.Server
	asked atomic.Int32
	last  struct {
		method, uri, body string
		header            http.Header
	}
}

func newNode(t *testing.T, status int, header http.Header, body string) *node {
	t.Helper()
	n := &node{}
	n.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		n.last.method, n.last.uri, n.last.body, n.last.header = r.Method, r.RequestURI, string(text), r.Header
		n.asked.Add(1)
		for name, values := range header {
			w.Header()[name] = values
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(n.Close)
	return n
}

// deadAddr is an address that refuses connections: the own end of one that is
// open, so that no other test comes to listen there.
func deadAddr(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn.LocalAddr().String()
}

// hangUp is the address of a server that takes requests and never answers them.
func hangUp(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		panic(http.ErrAbortHandler)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func refusal(code string, status int) string {
	return fmt.Sprintf(`{"success":false,"error":{"code":%q,"message":"no","status":%d,"retryable":true,"request_id":"req_1","sync_id":"sync_1",
		"details":[{"index":7,"field":"id","code":"TOO_LONG","message":"too long"}],"details_total":12}}`, code, status)
}

func TestEveryRouteSendsWhatTheAPIExpects(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	tests := []struct {
		name    string
		reply   string
		call    func(c *Client) (any, error)
		request string // method and URI
		body    string
		admin   bool
		want    string // the result, as JSON
	}{
		{
			name: "health", reply: `{"status":"ok","node_id":"a","role":"leader","leader_id":"a","ready":true,"version":"v1"}`,
			call:    func(c *Client) (any, error) { return c.Health(ctx) },
			request: "GET /v1/pipeline/health",
			want:    `{"status":"ok","node_id":"a","role":"leader","leader_id":"a","ready":true,"version":"v1"}`,
		}, {
			name: "members", reply: `{"members":[{"id":"a","peer":"p","http":"h","voter":true,"leader":true,"alive":true,"version":"v","clock_offset_ms":7,"diverged":false,"lag_entries":3,"last_contact_ms":20}]}`,
			call:    func(c *Client) (any, error) { return c.Members(ctx) },
			request: "GET /v1/admin/members", admin: true,
			want: `{"members":[{"id":"a","peer":"p","http":"h","voter":true,"leader":true,"alive":true,"version":"v","clock_offset_ms":7,"diverged":false,"lag_entries":3,"last_contact_ms":20}]}`,
		}, {
			name: "join", reply: `{"node_id":"b","cluster_id":"c","voter":true}`,
			call: func(c *Client) (any, error) {
				return c.Join(ctx, JoinRequest{Peer: "10.0.0.1:8801", Token: "t"})
			},
			request: "POST /v1/admin/members/join", body: `{"peer":"10.0.0.1:8801","token":"t"}`, admin: true,
			want: `{"node_id":"b","cluster_id":"c","voter":true}`,
		}, {
			name: "remove by force", reply: `{"node_id":"b","removed":true}`,
			call:    func(c *Client) (any, error) { return c.RemoveMember(ctx, "b/é", true) },
			request: "DELETE /v1/admin/members/b%2F%C3%A9?force=true", admin: true,
			want: `{"node_id":"b","removed":true}`,
		}, {
			name: "scrub", reply: `{"index":7}`,
			call:    func(c *Client) (any, error) { return c.Scrub(ctx) },
			request: "POST /v1/admin/scrub", admin: true,
			want: `{"index":7}`,
		}, {
			name: "transfer to any", reply: `{"leader_id":"b"}`,
			call:    func(c *Client) (any, error) { return c.TransferLeadership(ctx, "") },
			request: "POST /v1/admin/leader/transfer", body: `{}`, admin: true,
			want: `{"leader_id":"b"}`,
		}, {
			name: "create a key", reply: `{"key":"k","key_id":"i","organization_id":"org_a","vector_store_id":null,"name":"n","actions":["read"],"vector_store_ids":null,"namespaces":["a*"],"created_at":"2026-01-02T03:04:05.6Z","expires_at":null}`,
			call: func(c *Client) (any, error) {
				return c.CreateKey(ctx, KeyRequest{
					OrganizationID: "org_a", Name: "n", Actions: []string{"read"}, VectorStoreIDs: []string{"vs_a"}, Namespaces: []string{"a*"}, ExpiresInSeconds: 9,
				})
			},
			request: "POST /v1/admin/keys", admin: true,
			body: `{"organization_id":"org_a","name":"n","actions":["read"],"vector_store_ids":["vs_a"],"namespaces":["a*"],"expires_in_seconds":9}`,
			want: `{"key":"k","key_id":"i","organization_id":"org_a","vector_store_id":null,"name":"n","actions":["read"],"vector_store_ids":null,"namespaces":["a*"],"created_at":"2026-01-02T03:04:05.6Z","expires_at":null}`,
		}, {
			name: "list keys", reply: `{"keys":[],"next_cursor":"x"}`,
			call: func(c *Client) (any, error) {
				return c.Keys(ctx, ListOptions{OrganizationID: "org_a", Limit: 5, Cursor: "a&b"})
			},
			request: "GET /v1/admin/keys?cursor=a%26b&limit=5&organization_id=org_a", admin: true,
			want: `{"keys":[],"next_cursor":"x"}`,
		}, {
			name: "revoke", reply: `{"key_id":"i","revoked":true,"index":7}`,
			call:    func(c *Client) (any, error) { return c.RevokeKey(ctx, "i") },
			request: "DELETE /v1/admin/keys/i", admin: true,
			want: `{"key_id":"i","revoked":true,"index":7}`,
		}, {
			name: "rotate", reply: `{"key":"k","key_id":"j","previous":{"key_id":"i","rotated_to":"j"}}`,
			call: func(c *Client) (any, error) {
				key, err := c.RotateKey(ctx, "i", 90*time.Minute)
				return []string{key.Key, key.KeyID, key.Previous.KeyID, *key.Previous.RotatedTo}, err
			},
			request: "POST /v1/admin/keys/i/rotate", body: `{"overlap_seconds":5400}`, admin: true,
			want: `["k","j","i","j"]`,
		}, {
			name: "create a store", reply: `{"organization_id":"org_a","vector_store_id":"vs_a","created":true}`,
			call: func(c *Client) (any, error) {
				return c.CreateStore(ctx, StoreRequest{OrganizationID: "org_a", VectorStoreID: "vs_a"})
			},
			request: "POST /v1/admin/stores", body: `{"organization_id":"org_a","vector_store_id":"vs_a"}`, admin: true,
			want: `{"organization_id":"org_a","vector_store_id":"vs_a","created":true}`,
		}, {
			name: "organizations", reply: `{"organizations":[{"organization_id":"org_a","created_at":"2026-01-02T03:04:05Z","usage":{"records":3,"bytes":2,"tombstones":1,"namespaces":4,"digest":"00ff"}}],"next_cursor":null}`,
			call:    func(c *Client) (any, error) { return c.Organizations(ctx, ListOptions{Limit: 5, Cursor: "x"}) },
			request: "GET /v1/admin/organizations?cursor=x&limit=5", admin: true,
			want: `{"organizations":[{"organization_id":"org_a","created_at":"2026-01-02T03:04:05Z","usage":{"records":3,"bytes":2,"tombstones":1,"namespaces":4,"digest":"00ff"}}],"next_cursor":null}`,
		}, {
			name: "delete an organization", reply: `{"organization_id":"org_a","deleted":true}`,
			call:    func(c *Client) (any, error) { return c.DeleteOrganization(ctx, "org_a") },
			request: "DELETE /v1/admin/organizations/org_a", admin: true,
			want: `{"organization_id":"org_a","deleted":true}`,
		}, {
			name: "delete a store", reply: `{"organization_id":"org_a","vector_store_id":"vs_a","deleted":true}`,
			call:    func(c *Client) (any, error) { return c.DeleteStore(ctx, "org_a", "vs_a") },
			request: "DELETE /v1/admin/stores/vs_a?organization_id=org_a", admin: true,
			want: `{"organization_id":"org_a","vector_store_id":"vs_a","deleted":true}`,
		}, {
			name: "delete a namespace", reply: `{"vector_store_id":"vs_a","namespace":"a/b","deleted":true,"index":7}`,
			call:    func(c *Client) (any, error) { return c.DeleteNamespace(ctx, "vs_a", "a/b") },
			request: "DELETE /v1/vector-stores/vs_a/namespaces/a%2Fb",
			want:    `{"vector_store_id":"vs_a","namespace":"a/b","deleted":true,"index":7}`,
		}, {
			name: "namespaces", reply: `{"namespaces":[],"next_cursor":null}`,
			call: func(c *Client) (any, error) {
				return c.Namespaces(ctx, "vs_a", ReadOptions{Consistency: Stale, MaxStaleness: 2 * time.Second, MinIndex: 9})
			},
			request: "GET /v1/vector-stores/vs_a/namespaces?consistency=stale&max_staleness=2s&min_index=9",
			want:    `{"namespaces":[],"next_cursor":null}`,
		}, {
			name: "a record with an id of dots", reply: `{"id":"..","namespace":"n"}`,
			call: func(c *Client) (any, error) {
				record, err := c.Record(ctx, "vs_a", "a/b?c", "..", ReadOptions{})
				return record.ID, err
			},
			request: "GET /v1/vector-stores/vs_a/namespaces/a%2Fb%3Fc/records/%2E%2E",
			want:    `".."`,
		}, {
			name: "the history", reply: `{"syncs":[],"next_cursor":"x"}`,
			call:    func(c *Client) (any, error) { return c.Syncs(ctx, "vs_a", ReadOptions{Limit: 2, Cursor: "a&b"}) },
			request: "GET /v1/pipeline/syncs?cursor=a%26b&limit=2&vector_store_id=vs_a",
			want:    `{"syncs":[],"next_cursor":"x"}`,
		}, {
			name: "a sync of it", reply: `{"sync_id":"s","sync_mode":"incremental","namespaces":3}`,
			call: func(c *Client) (any, error) {
				s, err := c.PastSync(ctx, "s/1", ReadOptions{})
				return fmt.Sprint(s.SyncID, s.Mode, s.Namespaces), err
			},
			request: "GET /v1/pipeline/syncs/s%2F1",
			want:    `"sincremental3"`,
		}, {
			name: "a checkpoint", reply: `{"pipeline":"crm/c","state":{"n":1},"sync_id":"s","index":7,"updated_at":"2026-01-02T03:04:05Z"}`,
			call:    func(c *Client) (any, error) { return c.Checkpoint(ctx, "crm/c", ReadOptions{}) },
			request: "GET /v1/pipeline/checkpoints/crm%2Fc",
			want:    `{"pipeline":"crm/c","state":{"n":1},"sync_id":"s","index":7,"updated_at":"2026-01-02T03:04:05Z"}`,
		}, {
			name: "delete a checkpoint", reply: `{"pipeline":"crm/c","deleted":true,"index":7}`,
			call:    func(c *Client) (any, error) { return c.DeleteCheckpoint(ctx, "crm/c") },
			request: "DELETE /v1/pipeline/checkpoints/crm%2Fc",
			want:    `{"pipeline":"crm/c","deleted":true,"index":7}`,
		}, {
			name: "a sync with a checkpoint and a guard", reply: `{"status":"success","processed":0}`,
			call: func(c *Client) (any, error) {
				reply, err := c.Sync(ctx, SyncRequest{OrganizationID: "org_a", Mode: Incremental, MaxDeletePercent: "2.5",
					Checkpoint: &Checkpoint{Pipeline: "p", State: []byte("1")}})
				return reply.Status, err
			},
			request: "POST /v1/pipeline/sync",
			body:    `{"organization_id":"org_a","sync_mode":"incremental","max_delete_percent":2.5,"checkpoint":{"pipeline":"p","state":1},"operations":[]}`,
			want:    `"success"`,
		}, {
			name: "a dry run", reply: `{"status":"success","dry_run":true,"processed":0}`,
			call: func(c *Client) (any, error) {
				reply, err := c.Sync(ctx, SyncRequest{OrganizationID: "org_a", Mode: Incremental, DryRun: true})
				return reply.DryRun, err
			},
			request: "POST /v1/pipeline/sync?dry_run=true", body: `{"organization_id":"org_a","sync_mode":"incremental","operations":[]}`,
			want: `true`,
		}, {
			name: "an empty sync", reply: `{"status":"success","processed":0}`,
			call: func(c *Client) (any, error) {
				reply, err := c.Sync(ctx, SyncRequest{OrganizationID: "org_a", Mode: Incremental})
				return reply.Status, err
			},
			request: "POST /v1/pipeline/sync", body: `{"organization_id":"org_a","sync_mode":"incremental","operations":[]}`,
			want: `"success"`,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			n := newNode(t, 200, nil, test.reply)
			c := New(Options{Addrs: []string{n.Listener.Addr().String() + "/"}, APIKey: "key", AdminToken: "admin"})
			got, err := test.call(c)
			if err != nil {
				t.Fatal(err)
			}
			text, _ := json.Marshal(got)
			if string(text) != test.want {
				t.Errorf("result is %s, want %s", text, test.want)
			}
			if request := n.last.method + " " + n.last.uri; request != test.request {
				t.Errorf("request is %s, want %s", request, test.request)
			}
			if n.last.body != test.body {
				t.Errorf("body is %s, want %s", n.last.body, test.body)
			}
			if got := n.last.header.Get("Authorization") == "Bearer admin"; got != test.admin {
				t.Errorf("admin token sent: %v, want %v", got, test.admin)
			}
			if key := n.last.header.Get("X-API-Key"); test.admin && key != "" {
				t.Error("the API key went to an admin route")
			}
		})
	}
}

func TestErrorEnvelope(t *testing.T) {
	t.Parallel()
	n := newNode(t, 429, http.Header{"Retry-After": {"17"}}, refusal("RATE_LIMIT_EXCEEDED", 429))
	_, err := New(Options{Addrs: []string{n.URL}}).Sync(context.Background(), SyncRequest{})
	var got *Error
	if !errors.As(err, &got) {
		t.Fatalf("error is %v", err)
	}
	seven := 7
	want := &Error{
		Code: "RATE_LIMIT_EXCEEDED", Message: "no", Status: 429, Retryable: true, RequestID: "req_1", SyncID: "sync_1",
		Details:      []Detail{{Index: &seven, Field: "id", Code: "TOO_LONG", Message: "too long"}},
		DetailsTotal: 12, RetryAfter: 17 * time.Second, Addr: n.URL,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestErrorThatIsNoEnvelope(t *testing.T) {
	t.Parallel()
	n := newNode(t, 502, nil, "<html>"+strings.Repeat("x", 1000))
	_, err := New(Options{Addrs: []string{n.URL}}).Status(context.Background())
	var got *Error
	if !errors.As(err, &got) || got.Status != 502 || got.Code != "" || len(got.Message) > 300 {
		t.Errorf("error is %v", err)
	}
}

func TestHealthOfADegradedNodeIsNoError(t *testing.T) {
	t.Parallel()
	n := newNode(t, 503, nil, `{"status":"degraded","node_id":"a","ready":false}`)
	health, err := New(Options{Addrs: []string{n.URL}}).Health(context.Background())
	if err != nil || health.Status != "degraded" || health.NodeID != "a" {
		t.Errorf("health is %+v, %v", health, err)
	}
}

func TestSyncReadsTheRateLimit(t *testing.T) {
	t.Parallel()
	n := newNode(t, 200, http.Header{
		"X-Ratelimit-Limit": {"100"}, "X-Ratelimit-Remaining": {"42"}, "X-Ratelimit-Reset": {"58"},
	}, `{"status":"success"}`)
	reply, err := New(Options{Addrs: []string{n.URL}}).Sync(context.Background(), SyncRequest{})
	want := RateLimit{Limit: 100, Remaining: 42, Reset: 58 * time.Second}
	if err != nil || reply.RateLimit != want {
		t.Errorf("rate limit is %+v, %v", reply.RateLimit, err)
	}
}

// A keyed sync goes on where an unkeyed one may have been taken already.
func TestSyncWithAnIdempotencyKey(t *testing.T) {
	t.Parallel()
	n := newNode(t, 200, http.Header{"Idempotent-Replayed": {"true"}}, `{"status":"success","sync_id":"sync_1"}`)
	c := New(Options{Addrs: []string{hangUp(t), n.URL}})
	var gone *ConnectionError
	if _, err := c.Sync(context.Background(), SyncRequest{}); !errors.As(err, &gone) || n.asked.Load() != 0 {
		t.Errorf("without a key: %v, %d requests", err, n.asked.Load())
	}
	reply, err := c.Sync(context.Background(), SyncRequest{IdempotencyKey: "run-1"})
	if err != nil || !reply.Replayed || n.last.header.Get("Idempotency-Key") != "run-1" || strings.Contains(n.last.body, "run-1") {
		t.Errorf("with a key: %+v, %v; sent %v %s", reply, err, n.last.header, n.last.body)
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	elsewhere := newNode(t, 200, nil, `{}`)
	n := newNode(t, 307, http.Header{"Location": {elsewhere.URL}}, "")
	_, err := New(Options{Addrs: []string{n.URL}, AdminToken: "secret"}).Status(context.Background())
	var got *Error
	if !errors.As(err, &got) || elsewhere.asked.Load() != 0 {
		t.Errorf("error is %v, asked elsewhere %d times", err, elsewhere.asked.Load())
	}
}

func TestTimeoutBoundsACall(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer s.Close()
	defer close(release)
	_, err := New(Options{Addrs: []string{s.URL}, Timeout: 20 * time.Millisecond}).Status(context.Background())
	var got *ConnectionError
	if !errors.As(err, &got) || !got.Sent || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error is %v", err)
	}
}

func TestRecordsAreSentAsTheyRead(t *testing.T) {
	t.Parallel()
	n := newNode(t, http.StatusOK, nil, `{}`)
	c := New(Options{Addrs: []string{n.URL}, APIKey: "k"})
	t.Cleanup(c.Close)
	_, err := c.Sync(context.Background(), SyncRequest{OrganizationID: "org_a", Mode: Incremental, Operations: []Operation{
		{Action: Upsert, ID: "1", Namespace: "n", Data: json.RawMessage(`{"html":"<b>R&D</b>","n":1.0}`)},
	}})
	if err != nil || !strings.Contains(n.last.body, `"data":{"html":"<b>R&D</b>","n":1.0}`) {
		t.Errorf("sent %s, %v", n.last.body, err)
	}
}
