package simcluster

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"
)

// An organization whose number isn't below shakenFrom, or its store, is deleted now and
// then, and made again.
const shakenFrom = 5

// apiKey is what clients know of one.
type apiKey struct {
	id, secret string
	shaken     bool        // it may be gone at any time
	ending     atomic.Bool // its end has been asked for
	broken     atomic.Bool // an answer said that it or its store is gone
}

// lost says whether a code is explained by what the administrator did, and if so
// has the administrator look after it.
func (k *apiKey) lost(code string) bool {
	if k.shaken && (code == "VECTOR_STORE_NOT_FOUND" || code == "INVALID_API_KEY") {
		k.broken.Store(true)
		return true
	}
	return code == "INVALID_API_KEY" && k.ending.Load()
}

func (w *world) key(org string) *apiKey {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.keys[org]
}

// administrator changes what clients rely on.
type administrator struct {
	*client // of no organization
}

func newAdministrator(w *world) *administrator {
	return &administrator{&client{w: w, name: "admin", rng: rand.New(rand.NewPCG(w.seed, 99))}}
}

// run works until ctx ends.
func (a *administrator) run(ctx context.Context) {
	for a.think(ctx) {
		a.repair(ctx)
		switch a.rng.IntN(10) {
		case 0, 1, 2:
			a.replaceKey(ctx, a.org())
		case 3, 4:
			a.rotateKey(ctx, a.org())
		case 5, 6, 7:
			a.setLimits(ctx, a.org())
		case 8:
			path := "/v1/admin/stores/" + store + "?organization_id=" + a.shaken()
			a.ask(ctx, http.MethodDelete, path, "", "VECTOR_STORE_NOT_FOUND", "ORGANIZATION_NOT_FOUND")
		case 9:
			a.ask(ctx, http.MethodDelete, "/v1/admin/organizations/"+a.shaken(), "", "ORGANIZATION_NOT_FOUND")
		}
	}
}

func shakenOrgs() (names []string) {
	for i := shakenFrom; i < organizations; i++ {
		names = append(names, fmt.Sprintf("org_%d", i))
	}
	return names
}

func (a *administrator) shaken() string {
	names := shakenOrgs()
	return names[a.rng.IntN(len(names))]
}

// repair makes again what is gone.
func (a *administrator) repair(ctx context.Context) {
	for _, org := range shakenOrgs() {
		if a.w.key(org).broken.Load() {
			a.makeKey(ctx, org)
		}
	}
}

// ask sends a request to any machine, and returns the answer if it is a success.
func (a *administrator) ask(ctx context.Context, method, path, body string, also ...string) (reply answer, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, maxPatience)
	defer cancel()
	reply, _ = a.w.anyMachine(a.rng).admin(ctx, method, path, body)
	if reply == nil || reply.Code < http.StatusBadRequest {
		return reply, reply != nil
	}
	a.failure(reply, &apiKey{}, append(also, "OUTCOME_UNKNOWN"))
	return nil, false
}

type madeKey struct {
	Key   string `json:"key"`
	KeyID string `json:"key_id"`
}

// take has the clients of an organization use a key from now on.
func (a *administrator) take(org string, reply answer) {
	var made madeKey
	if err := json.Unmarshal(reply.Body.Bytes(), &made); err != nil {
		a.w.violate("a key: %v", err)
	}
	a.w.mu.Lock()
	defer a.w.mu.Unlock()
	a.w.keys[org] = &apiKey{id: made.KeyID, secret: made.Key, shaken: slices.Contains(shakenOrgs(), org)}
}

// makeKey makes a key of an organization, and both where they are missing, until ctx
// ends. Where the answer is lost there is a key that nobody knows.
func (a *administrator) makeKey(ctx context.Context, org string) (made bool) {
	body := fmt.Sprintf(`{"organization_id":%q,"name":"sim","vector_store_id":%q}`, org, store)
	for ctx.Err() == nil {
		if reply, ok := a.ask(ctx, http.MethodPost, "/v1/admin/keys", body); ok {
			a.take(org, reply)
			return true
		}
		time.Sleep(retryTime)
	}
	return false
}

// replaceKey revokes a key, with requests under it on their way.
func (a *administrator) replaceKey(ctx context.Context, org string) {
	old := a.w.key(org)
	if !a.makeKey(ctx, org) {
		return
	}
	old.ending.Store(true)
	for range 3 {
		c := &client{
			w: a.w, name: fmt.Sprintf("k%d", a.w.counts.next.Add(1)), rng: rand.New(rand.NewPCG(a.rng.Uint64(), 0)), key: old,
		}
		a.w.background.Go(func() {
			time.Sleep(time.Duration(c.rng.Int64N(int64(10 * baseDelay))))
			c.syncTo(ctx, org)
		})
	}
	if _, ok := a.ask(ctx, http.MethodDelete, "/v1/admin/keys/"+old.id, "", "KEY_NOT_FOUND"); ok {
		a.w.ledger.revokedNow(old.id)
	}
}

// rotateKey ends a key at once or soon.
func (a *administrator) rotateKey(ctx context.Context, org string) {
	old := a.w.key(org)
	old.ending.Store(true)
	body := fmt.Sprintf(`{"overlap_seconds":%d}`, max(a.rng.IntN(20)-10, 0))
	if reply, ok := a.ask(ctx, http.MethodPost, "/v1/admin/keys/"+old.id+"/rotate", body, "KEY_NOT_FOUND", "KEY_ENDED"); ok {
		a.take(org, reply)
		return
	}
	a.makeKey(ctx, org)
}

// setLimits gives an organization limits of its own, or those of all.
func (a *administrator) setLimits(ctx context.Context, org string) {
	requests, bytes := 0, 0
	if a.rng.IntN(4) > 0 {
		requests = 20 + a.rng.IntN(200)
	}
	if a.rng.IntN(3) == 0 {
		bytes = 200 + a.rng.IntN(20_000)
	}
	body := fmt.Sprintf(`{"requests_per_window":%d,"bytes_per_window":%d}`, requests, bytes)
	a.ask(ctx, http.MethodPatch, "/v1/admin/limits/"+org, body)
}
