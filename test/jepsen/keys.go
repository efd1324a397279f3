package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"pipesync/client"
	"pipesync/test/jepsen/history"
)

const (
	keysOrg     = "org_keys"
	keysClients = 2
	keysLimit   = 10_000
	maxKeyThink = 2 * time.Second
	// maxHoldSeconds is how long a request may be sent in part.
	maxHoldSeconds = 5
)

// with is a worker that does the same by another API key.
func (w *worker) with(keyID, key string, through http.RoundTripper) *worker {
	t := &tenant{org: w.t.org, store: w.t.store}
	for _, n := range w.c.r.cluster.Nodes {
		t.at = append(t.at, client.New(client.Options{Addrs: []string{n.HTTP}, APIKey: key, Timeout: burstAttemptSeconds * time.Second,
			HTTPClient: &http.Client{Transport: through}}))
	}
	return &worker{c: w.c, t: t, rng: w.rng, id: int(w.c.ids.Add(1)), keyID: keyID}
}

// useKeys makes keys, has them be used, and revokes them while they are. What a key is
// made with goes through one node, and its uses at once through others.
func (w *worker) useKeys(ctx context.Context) {
	for {
		select {
		case <-time.After(time.Duration(w.rng.Int64N(int64(maxKeyThink)))):
		case <-ctx.Done():
			return
		}
		w.useKey(context.WithoutCancel(ctx))
	}
}

func (w *worker) useKey(ctx context.Context) {
	admin, cancel := context.WithTimeout(ctx, operationSeconds*time.Second)
	defer cancel()
	order := w.rng.Perm(len(w.t.at))
	req := client.KeyRequest{OrganizationID: w.t.org, VectorStoreID: w.t.store}
	readOnly := w.rng.IntN(4) == 0
	if readOnly {
		req.Actions = []string{"read"}
	}
	made, err := w.c.r.cluster.Nodes[order[0]].Client().CreateKey(admin, req)
	if err != nil {
		return // nobody knows it
	}
	k := &history.Key{ID: made.KeyID, Org: w.t.org, ReadOnly: readOnly, Made: w.c.r.now()}
	through := w.c.r.cluster.HTTPClient().Transport
	mine := w.with(k.ID, made.Key, through)
	namespace := "key-" + k.ID
	for _, node := range order[1:] {
		_ = mine.read(ctx, node, namespace, true)
		mine.syncOnce(ctx, node, namespace)
	}
	w.revoke(admin, k, made.Key, order)
	mine.syncOnce(ctx, mine.node(), namespace)
	_ = mine.read(ctx, mine.node(), namespace, true)
	_ = w.read(ctx, w.node(), namespace, true)
	w.c.r.mu.Lock()
	defer w.c.r.mu.Unlock()
	w.c.r.hist.Keys = append(w.c.r.hist.Keys, *k)
}

// revoke ends a key while a sync with it has been sent in part: a node has looked at the
// key by then, and has the rest only after the key is no more.
func (w *worker) revoke(ctx context.Context, k *history.Key, key string, order []int) {
	held := &holding{next: w.c.r.cluster.HTTPClient().Transport, half: make(chan struct{}), rest: make(chan struct{})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.with(k.ID, key, held).syncOnce(ctx, order[len(order)-1], "key-"+k.ID)
	}()
	defer func() { <-done }()
	defer close(held.rest)
	select {
	case <-held.half:
	case <-done:
		return
	case <-time.After(maxHoldSeconds * time.Second):
	}
	ctx, cancel := context.WithTimeout(ctx, maxHoldSeconds*time.Second)
	defer cancel()
	admin := w.c.r.cluster.Nodes[order[0]].Client()
	k.Revoking = w.c.r.now()
	if w.rng.IntN(2) == 0 {
		revoked, err := admin.RevokeKey(ctx, k.ID)
		if err == nil {
			k.Revoked, k.RevokedIndex = w.c.r.now(), revoked.Index
		}
		return
	}
	next, err := admin.RotateKey(ctx, k.ID, 0)
	if err != nil {
		return
	}
	k.Revoked = w.c.r.now()
	after := &history.Key{ID: next.KeyID, Org: k.Org, ReadOnly: k.ReadOnly, Made: k.Revoked}
	mine := w.with(after.ID, next.Key, w.c.r.cluster.HTTPClient().Transport)
	_ = mine.read(ctx, order[1], "key-"+after.ID, true)
	w.c.r.mu.Lock()
	defer w.c.r.mu.Unlock()
	w.c.r.hist.Keys = append(w.c.r.hist.Keys, *after)
}

// syncOnce sends a small batch without an idempotency key.
func (w *worker) syncOnce(ctx context.Context, node int, namespace string) {
	op := w.begin(node)
	op.Sync = &history.Sync{Mode: history.Incremental, Writes: []history.Write{{Namespace: namespace, ID: fmt.Sprint(w.id), Value: w.c.values.Add(1)}}}
	op.Requests = 1
	reply, err := w.t.at[node].Sync(ctx, w.request(op.Sync))
	if err == nil {
		answered(op, reply)
	} else if _, unknown := judge(err, op); unknown {
		op.Outcome = history.Unknown
		w.id = int(w.c.ids.Add(1))
	} else {
		op.Outcome = history.Fail
	}
	w.c.done(op)
}

// holding sends half of the body of a request, and the rest when it is told to.
type holding struct {
	next http.RoundTripper
	half chan struct{} // closed when that is sent
	rest chan struct{} // closed by others when the rest may go
}

func (h *holding) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	held := req.Clone(req.Context())
	held.GetBody = nil
	held.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body[:len(body)/2]), &gate{h}, bytes.NewReader(body[len(body)/2:])))
	return h.next.RoundTrip(held)
}

// gate is read when all before it has been taken, and ends when the rest may go.
type gate struct{ *holding }

func (g *gate) Read([]byte) (int, error) {
	select {
	case <-g.half:
	default:
		close(g.half)
	}
	<-g.rest
	return 0, io.EOF
}
