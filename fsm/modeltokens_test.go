package fsm

import (
	"testing"

	"pgregory.net/rapid"
)

// modelToken is a token that lets one node join.
type modelToken struct {
	expiresAt int64
	used      bool
	by        string
	with      [32]byte
}

// changeTokens decides about a command of join tokens.
func (m *model) changeTokens(cmd Command, at Stamp) (outcome Outcome, created bool) {
	m.clusterTime = max(m.clusterTime, at.ClusterTime)
	switch c := cmd.(type) {
	case *TokenCreate:
		if m.tokens[c.TokenID] != nil {
			return OK, false
		}
		for id, t := range m.tokens {
			if t.expiresAt <= m.clusterTime {
				delete(m.tokens, id)
			}
		}
		m.tokens[c.TokenID] = &modelToken{expiresAt: m.clusterTime + int64(c.LifetimeSeconds)*second}
		return OK, true
	case *TokenUse:
		t := m.tokens[c.TokenID]
		switch {
		case t == nil:
			return TokenNotFound, false
		case t.used && t.by == c.NodeID && t.with == c.With:
			return OK, false
		case t.used:
			return TokenUsed, false
		case m.clusterTime >= t.expiresAt:
			return TokenExpired, false
		}
		t.used, t.by, t.with = true, c.NodeID, c.With
		return OK, true
	case *TokenRevoke:
		if m.tokens[c.TokenID] == nil {
			return TokenNotFound, false
		}
		delete(m.tokens, c.TokenID)
		return OK, false
	}
	panic("no command of tokens")
}

var someTokens = []string{"jt_1", "jt_2", "jt_3"}

func drawTokenCommand(t *rapid.T) Command {
	id := rapid.SampledFrom(someTokens).Draw(t, "token")
	switch rapid.IntRange(0, 4).Draw(t, "what to do with it") {
	case 0:
		return &TokenRevoke{TokenID: id}
	case 1, 2:
		return &TokenUse{
			TokenID: id, NodeID: rapid.SampledFrom([]string{"n1", "n2"}).Draw(t, "node"),
			With: [32]byte{byte(rapid.IntRange(0, 1).Draw(t, "with"))},
		}
	}
	return &TokenCreate{TokenID: id, SecretHash: [32]byte{1}, LifetimeSeconds: uint32(rapid.SampledFrom([]int{1, 9, 60}).Draw(t, "lifetime"))}
}

// tokenBoth has model and state machine decide about a command of tokens.
func tokenBoth(r *rig, m *model, cmd Command) {
	r.t.Helper()
	outcome, created := m.changeTokens(cmd, Stamp{ClusterTime: r.now, WallTime: r.wall})
	if got := r.apply(cmd); got.Outcome != outcome || got.Created != created {
		r.t.Fatalf("%T: outcome %d, created %v, want %d, %v", cmd, got.Outcome, got.Created, outcome, created)
	}
}

func compareTokens(t failer, v *View, m *model) {
	list, err := v.JoinTokens("", 100)
	if err != nil || len(list) != len(m.tokens) {
		t.Fatalf("%d tokens are listed of %d: %v", len(list), len(m.tokens), err)
	}
	for _, got := range list {
		want := m.tokens[got.ID]
		if want == nil || got.ExpiresAt != want.expiresAt || got.UsedBy != want.by || got.UsedWith != want.with {
			t.Fatalf("token %s: %+v, want %+v", got.ID, got, want)
		}
	}
}

// There are only so many tokens at a time, and those that have expired make room.
func TestTokensAreBounded(t *testing.T) {
	r := newRig(t)
	r.setUp(10)
	for i := range MaxJoinTokens {
		r.mustApply(&TokenCreate{TokenID: "jt_" + string(rune('a'+i/26%26)) + string(rune('a'+i%26)) + string(rune('a'+i/676)), LifetimeSeconds: 60})
	}
	one := &TokenCreate{TokenID: "one more", LifetimeSeconds: 60}
	if got := r.apply(one); got.Outcome != TooManyTokens {
		t.Errorf("one more than there may be: %+v", got)
	}
	r.now += 59 * second
	if got := r.apply(one); got.Outcome != TooManyTokens {
		t.Errorf("a second before they expire: %+v", got)
	}
	r.now += second
	if got := r.apply(one); got.Outcome != OK || !got.Created {
		t.Errorf("when they have expired: %+v", got)
	}
	v := r.view()
	defer v.Close()
	if list, err := v.JoinTokens("", scanAll); err != nil || len(list) != 1 {
		t.Errorf("%d are left, %v", len(list), err)
	}
}
