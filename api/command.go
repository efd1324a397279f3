package api

import (
	"context"
	"fmt"

	"pipesync/fsm"
)

// commandView is command and then a view that shows what it did, to be closed by
// the caller.
func (s *server) commandView(c *call, cmd fsm.Command) (*fsm.View, error) {
	result, err := s.command(c, cmd)
	if err != nil {
		return nil, err
	}
	return s.viewAt(c, result.Index)
}

// viewAt is a view that shows the entry at index, to be closed by the caller.
func (s *server) viewAt(c *call, index uint64) (*fsm.View, error) {
	ctx, cancel := c.within(s.Limits.ReadTimeout)
	defer cancel()
	if err := s.waitApplied(ctx, index); err != nil {
		return nil, err
	}
	view, err := s.State.View()
	if err != nil {
		return nil, fmt.Errorf("opening a view: %w", err)
	}
	return view, nil
}

// command proposes an administrator's command and returns its result, which is
// fsm.OK.
func (s *server) command(c *call, cmd fsm.Command) (*fsm.Result, error) {
	ctx, cancel := c.within(s.Limits.SyncTimeout)
	defer cancel()
	result, err := s.decide(ctx, cmd)
	if err != nil {
		return nil, err
	}
	switch result.Outcome {
	case fsm.OK:
		return result, nil
	case fsm.KeyNotFound: // here the key is what is asked for, not who asks
		return nil, noSuchKey()
	case fsm.KeyRevoked:
		return nil, fail(codeKeyEnded, "the key has been revoked")
	case fsm.KeyExpired:
		return nil, fail(codeKeyEnded, "the key has expired")
	}
	return nil, refusal(result.Outcome)
}

// callerCommand proposes a command of the caller's API key and returns its result,
// which is fsm.OK.
func (s *server) callerCommand(ctx context.Context, cmd fsm.Command) (*fsm.Result, error) {
	result, err := s.decide(ctx, cmd)
	if err != nil {
		return nil, err
	}
	if result.Outcome != fsm.OK {
		return nil, refusal(result.Outcome)
	}
	return result, nil
}

// decide has the cluster decide about a command.
func (s *server) decide(ctx context.Context, cmd fsm.Command) (*fsm.Result, error) {
	body, err := fsm.Encode(cmd)
	if err != nil {
		return nil, fmt.Errorf("encoding a command: %w", err)
	}
	return s.propose(ctx, body)
}
