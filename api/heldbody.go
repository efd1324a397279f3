package api

import "sync"

// maxPartOfFree is how many times what is free of the bound one organization may
// hold in bodies.
const maxPartOfFree = 4

// heldBodies counts the bytes of all bodies in memory. One organization alone may
// hold four fifths of the bound, two may hold four ninths each: however many large
// bodies they send, a part of it stays free for others. These are the dynamic
// thresholds of Choudhury and Hahne (IEEE/ACM Transactions on Networking, 1998).
type heldBodies struct {
	bound int64

	mu    sync.Mutex
	total int64
	of    map[string]int64 // by organization; empty: the administrators
}

func newHeldBodies(bound int64) *heldBodies {
	return &heldBodies{bound: bound, of: map[string]int64{}}
}

// heldBody is a request's body in memory, counted until it is released. The zero
// value is no body.
type heldBody struct {
	held  *heldBodies
	org   string
	bytes int64 // decompressed, as far as they were read
}

// grow counts n bytes more, and returns false where the organization holds too many
// by now.
func (b *heldBody) grow(n int) bool {
	b.bytes += int64(n)
	h := b.held
	h.mu.Lock()
	defer h.mu.Unlock()
	h.total += int64(n)
	h.of[b.org] += int64(n)
	return h.of[b.org] <= maxPartOfFree*(h.bound-h.total)
}

// bytes are those of all bodies.
func (h *heldBodies) bytes() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.total
}

// release is called once, when nothing refers to the body any more.
func (b *heldBody) release() {
	h := b.held
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.total -= b.bytes
	h.of[b.org] -= b.bytes
	if h.of[b.org] == 0 {
		delete(h.of, b.org)
	}
}
