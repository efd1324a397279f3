package admission

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"pipesync/fsm"
	"pipesync/internal/planted"
)

// State is the applied state of this node.
type State interface {
	// View returns a consistent view, to be closed by the caller.
	View() (*fsm.View, error)
}

// Gate decides about proposals while this process leads. Its methods may be called
// concurrently.
type Gate struct {
	state    State
	clock    Clock
	observed atomic.Pointer[observation]

	mu        sync.Mutex
	announced uint64  // the latest term that LeaderReady named
	current   *tenure // nil before the first term; behind announced while the state can't be read
}

// observation is the last entry that this process applied.
type observation struct {
	index       uint64
	clusterTime int64
	at          time.Duration
}

// New returns a gate over state. Its Observe is to be wired to the state machine
// before the first entry is applied.
func New(state State, clock Clock) *Gate {
	return &Gate{state: state, clock: clock}
}

// Observe notes that this process has just applied the entry at index, and with it
// moved cluster time to clusterTime. Calls come in the order of the entries.
func (g *Gate) Observe(index uint64, clusterTime int64) {
	g.observed.Store(&observation{index: index, clusterTime: clusterTime, at: g.clock.Monotonic()})
}

// LeaderReady begins a term. Every entry of earlier terms has been applied, and none of
// this term has been appended.
func (g *Gate) LeaderReady(term uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if term <= g.announced {
		return
	}
	g.announced = term
	if g.current != nil {
		close(g.current.ended)
		g.current = nil
	}
	// Where the state can't be read, the first proposal tries again: until then no
	// entry of this term is stamped, so beginning later only slows cluster time.
	_ = g.begin()
}

// begin fixes the announced term's cluster time; mu is held.
func (g *Gate) begin() error {
	view, err := g.state.View()
	if err != nil {
		return fmt.Errorf("beginning term %d: %w: %w", g.announced, ErrState, err)
	}
	defer view.Close()
	system := view.System()
	since := g.clock.Monotonic()
	// Time has passed since the last entry was applied. How much, only a process that
	// applied it itself can know; any other assumes none.
	o := g.observed.Load()
	if o != nil && o.index == system.AppliedIndex && o.clusterTime == system.ClusterTime {
		since = min(since, o.at)
	}
	g.current = newTenure(g.announced, g.clock, system.ClusterTime, since)
	return nil
}

// tenure returns the tenure of term, or an error that matches ErrTerm or ErrState.
func (g *Gate) tenure(term uint64) (*tenure, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if term != g.announced {
		return nil, ErrTerm
	}
	if g.current == nil {
		if err := g.begin(); err != nil {
			return nil, err
		}
	}
	return g.current, nil
}

// ClusterTime is cluster time by the leader of term, in nanoseconds since bootstrap. It
// is 0 if that isn't this process, or no longer.
func (g *Gate) ClusterTime(term uint64) int64 {
	t, err := g.tenure(term)
	if err != nil {
		return 0
	}
	if o := g.observed.Load(); o != nil && planted.Is(planted.RebasedTime) {
		return o.clusterTime + int64(g.clock.Monotonic()-o.at)
	}
	return t.now()
}

// Estimate is cluster time as any node can tell it: that of the last entry that this
// process applied, and the time since. It may be behind the leader's, and is 0 before
// the first entry. It decides nothing.
func (g *Gate) Estimate() int64 {
	o := g.observed.Load()
	if o == nil {
		return 0
	}
	return o.clusterTime + int64(g.clock.Monotonic()-o.at)
}

// Flow is the organization of a sync, and empty for anything else.
func (g *Gate) Flow(body []byte) string {
	header, err := fsm.DecodeHeader(body)
	if err != nil {
		return "" // Admit says why
	}
	return header.Org
}

// Stamp returns the extension bytes for an entry about to be appended in term. A stamp
// for a term that has passed is harmless: no log holds an entry of that term to come,
// so Apply fences it.
func (g *Gate) Stamp(term uint64, body []byte) []byte {
	return fsm.EncodeStamp(fsm.Stamp{
		Term:        term,
		ClusterTime: g.ClusterTime(term),
		WallTime:    g.clock.Wall().UnixNano(),
	}, body)
}

// AuthorizeJoin lets whoever has the cluster's admin token join, and whoever has a join
// token, ID.SECRET, once: the entry uses it up. An error that matches ErrState says
// nothing about the token: the cluster is being formed, or the state can't be read.
func (g *Gate) AuthorizeJoin(token, nodeID string, with [32]byte) ([]byte, error) {
	id, err := g.judgeToken(token)
	if err != nil || id == "" {
		return nil, err
	}
	use := &fsm.TokenUse{TokenID: id, NodeID: nodeID, With: with}
	_, _ = rand.Read(use.RequestID[:]) // never fails: see crypto/rand
	return fsm.Encode(use)
}

// JoinAuthorized reads the result of the entry that uses a token up.
func (g *Gate) JoinAuthorized(reply []byte) error {
	result, err := fsm.DecodeResult(reply)
	if err != nil {
		return fmt.Errorf("authorizing a join: %w: %w", ErrState, err)
	}
	switch result.Outcome {
	case fsm.OK:
		return nil
	case fsm.TokenUsed:
		return errors.New("authorizing a join: the token has been used")
	case fsm.TokenExpired:
		return errors.New("authorizing a join: the token has expired")
	}
	return errNotOurToken
}

var errNotOurToken = errors.New("authorizing a join: the token is not this cluster's")

// judgeToken returns the id of a join token, empty for the admin token.
func (g *Gate) judgeToken(token string) (id string, err error) {
	view, err := g.state.View()
	if err != nil {
		return "", fmt.Errorf("authorizing a join: %w: %w", ErrState, err)
	}
	defer view.Close()
	settings, found, err := view.Settings()
	if err != nil {
		return "", fmt.Errorf("authorizing a join: %w: %w", ErrState, err)
	}
	if !found {
		return "", fmt.Errorf("authorizing a join: %w: the cluster has no settings yet", ErrState)
	}
	if isSecret(token, settings.AdminTokenHash) {
		return "", nil
	}
	id, secret, _ := strings.Cut(token, ".")
	row, found, err := view.JoinToken(id)
	if err != nil {
		return "", fmt.Errorf("authorizing a join: %w: %w", ErrState, err)
	}
	if !found || !isSecret(secret, row.SecretHash) {
		return "", errNotOurToken
	}
	return id, nil
}

func isSecret(text string, hash [32]byte) bool {
	got := sha256.Sum256([]byte(text))
	return subtle.ConstantTimeCompare(got[:], hash[:]) == 1
}
