package api

import (
	"context"
	"fmt"

	"pipesync/fsm"
	"pipesync/internal/planted"
)

// lookup asks find of this node's state, and where it finds nothing once more
// of the state at the leader's read index: what was made through another node a
// moment ago works here at once. name identifies the question among the misses.
func (s *server) lookup(ctx context.Context, name string, find func() (bool, error)) (bool, error) {
	found, err := find()
	if err != nil || found || planted.Is(planted.LocalRefusal) {
		return found, err
	}
	if s.misses.has(name) {
		return false, nil
	}
	select {
	case s.lookups <- struct{}{}:
		defer func() { <-s.lookups }()
	default:
		return false, fail(codeOverloaded, "too many look-ups of unknown keys and stores are under way")
	}
	if _, err := s.catchUp(ctx); err != nil {
		return false, fmt.Errorf("looking up at the read index: %w", err)
	}
	found, err = find()
	if err == nil && !found {
		s.misses.add(name)
	}
	return found, err
}

func (s *server) inView(find func(*fsm.View) (bool, error)) (bool, error) {
	view, err := s.State.View()
	if err != nil {
		return false, err
	}
	defer view.Close()
	return find(view)
}
