package cluster

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/hashicorp/raft"
)

// bytelog is the smallest state machine: it remembers every entry. Its reply is
// the entry's index as text. The fields that hold functions inject faults.
type bytelog struct {
	mu      sync.Mutex
	applied uint64
	term    uint64
	entries []logged
	changed chan struct{}
	images  int          // restored
	image   bytelogImage // the newest one made

	snapshots   raft.SnapshotStore // outlives it
	failRestore func() error       // nil: none fails

	// respond replaces the response to an applied entry, if it returns true.
	respond func(body []byte, index uint64) (any, bool)
	// stall is called with each entry before it is applied.
	stall func(body []byte)
}

type logged struct {
	Index uint64
	Body  []byte
}

type fencedError struct{}

func (fencedError) Error() string    { return "fenced" }
func (fencedError) NotApplied() bool { return true }

func newBytelog() *bytelog { return &bytelog{changed: make(chan struct{})} }

func (b *bytelog) Apply(l *raft.Log) any {
	b.mu.Lock()
	stall := b.stall
	b.mu.Unlock()
	if stall != nil {
		stall(l.Data)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if l.Index <= b.applied {
		return nil
	}
	if len(l.Extensions) != 8 || binary.BigEndian.Uint64(l.Extensions) != l.Term {
		return fencedError{}
	}
	b.applied, b.term = l.Index, l.Term
	close(b.changed)
	b.changed = make(chan struct{})
	b.entries = append(b.entries, logged{l.Index, append([]byte(nil), l.Data...)})
	if b.respond != nil {
		if r, ok := b.respond(l.Data, l.Index); ok {
			return r
		}
	}
	return []byte(fmt.Sprint(l.Index))
}

func (b *bytelog) setRespond(f func(body []byte, index uint64) (any, bool)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.respond = f
}

func (b *bytelog) setStall(f func(body []byte)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stall = f
}

func (b *bytelog) restored() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.images
}

func (b *bytelog) Applied() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.applied
}

func (b *bytelog) Position() (index, term uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.applied, b.term
}

// copy is the state as another process would find it.
func (b *bytelog) copy() *bytelog {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := newBytelog()
	c.applied, c.term, c.entries, c.image = b.applied, b.term, append(c.entries, b.entries...), b.image
	return c
}

func (b *bytelog) Snapshots() raft.SnapshotStore { return b.snapshots }

func (b *bytelog) Covers(snapshot io.Reader) (bool, error) {
	var i bytelogImage
	if err := json.NewDecoder(snapshot).Decode(&i); err != nil {
		return false, err
	}
	index, term := b.Position()
	if index == i.Applied && term != i.Term {
		return false, errors.New("another history")
	}
	return index >= i.Applied, nil
}

func (b *bytelog) WaitApplied(ctx context.Context, index uint64) error {
	for {
		b.mu.Lock()
		applied, changed := b.applied, b.changed
		b.mu.Unlock()
		if applied >= index {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (b *bytelog) bodies() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []string
	for _, e := range b.entries {
		out = append(out, string(e.Body))
	}
	return out
}

type bytelogImage struct {
	Applied, Term uint64
	Entries       []logged
}

func (b *bytelog) Snapshot() (raft.FSMSnapshot, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.image = bytelogImage{b.applied, b.term, append([]logged(nil), b.entries...)}
	return b.image, nil
}

func (i bytelogImage) Persist(sink raft.SnapshotSink) error {
	if err := json.NewEncoder(sink).Encode(i); err != nil {
		return errors.Join(err, sink.Cancel())
	}
	return sink.Close()
}

func (bytelogImage) Release() {}

func (b *bytelog) Restore(r io.ReadCloser) error {
	if b.failRestore != nil {
		if err := b.failRestore(); err != nil {
			return err
		}
	}
	var i bytelogImage
	if err := json.NewDecoder(r).Decode(&i); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.applied, b.term, b.entries = i.Applied, i.Term, i.Entries
	b.images++
	close(b.changed)
	b.changed = make(chan struct{})
	return nil
}

const testToken = "let me in"

// testGate admits everything, and checks its own contract.
type testGate struct {
	mu    sync.Mutex
	ready uint64
	open  int
	bad   []string
	told  []string // the replies that releases came with
	joins int      // asked for

	admit func(body []byte) (reply []byte, err error)
	stamp func(term uint64) uint64
}

// Flow is what a body says before a slash.
func (g *testGate) Flow(body []byte) string {
	flow, _, _ := strings.Cut(string(body), "/")
	return flow
}

func (g *testGate) LeaderReady(term uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if term <= g.ready {
		g.bad = append(g.bad, fmt.Sprintf("LeaderReady(%d) after %d", term, g.ready))
	}
	g.ready = term
}

func (g *testGate) Admit(_ context.Context, term uint64, body []byte) ([]byte, func([]byte), error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ready < term {
		g.bad = append(g.bad, fmt.Sprintf("Admit in term %d, ready in %d", term, g.ready))
	}
	if g.admit != nil {
		if reply, err := g.admit(body); reply != nil || err != nil {
			return reply, nil, err
		}
	}
	g.open++
	released := false
	return nil, func(reply []byte) {
		g.mu.Lock()
		defer g.mu.Unlock()
		if released {
			g.bad = append(g.bad, "released twice")
		}
		released = true
		g.open--
		g.told = append(g.told, string(reply))
	}, nil
}

func (g *testGate) Stamp(term uint64, _ []byte) []byte {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stamp != nil {
		term = g.stamp(term)
	}
	return binary.BigEndian.AppendUint64(nil, term)
}

// onceToken is one that an entry uses up.
const onceToken = "let me in once"

func (g *testGate) AuthorizeJoin(token, nodeID string, _ [32]byte) ([]byte, error) {
	g.set(func(g *testGate) { g.joins++ })
	switch token {
	case testToken:
		return nil, nil
	case onceToken:
		return []byte("token used by " + nodeID), nil
	}
	return nil, errors.New("wrong token")
}

func (g *testGate) JoinAuthorized(reply []byte) error {
	if strings.Contains(string(reply), "refused") {
		return errors.New("the token is used")
	}
	return nil
}

// asked is how many joins were asked for.
func (g *testGate) asked() (n int) {
	g.set(func(g *testGate) { n = g.joins })
	return n
}

func (g *testGate) set(f func(*testGate)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f(g)
}

func (g *testGate) state() (open int, bad []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.open, g.bad
}
