package api

import (
	"fmt"
	"net/url"

	"pipesync/fsm"
)

// drySync decides about the batch as if it came next, on this node's state at a
// read index and at the wall time that the leader would stamp, as well as this node
// knows it: the median of the members' clocks. Nothing is proposed, so an Idempotency-Key means nothing.
func (s *server) drySync(c *call) (*fsm.Result, error) {
	switch want, err := parseFreshness(c.r.URL.Query()); {
	case err != nil:
		return nil, err
	case want.stale:
		return nil, invalidParam("consistency", "must not be stale where dry_run is true: what would come next is decided on the latest state")
	}
	request, err := s.readSync(c)
	if err != nil {
		return nil, err
	}
	select {
	case s.dryRuns <- struct{}{}:
		defer func() { <-s.dryRuns }()
	default:
		return nil, fail(codeOverloaded, "too many dry runs are under way")
	}
	ctx, cancel := c.within(s.Limits.SyncTimeout)
	defer cancel()
	if err := s.address(ctx, c.caller, request); err != nil {
		return nil, err
	}
	command := &request.Sync
	command.SyncID = "dry_run" // an entry has one; nothing shows it
	body, err := fsm.Encode(command)
	if err != nil {
		return nil, fmt.Errorf("encoding a sync: %w", err)
	}
	view, err := s.view(c, freshnessWanted{})
	if err != nil {
		return nil, err
	}
	defer view.Close()
	result, err := view.DryRun(body, s.Now().UnixNano())
	if err != nil {
		return nil, fmt.Errorf("running a sync dry: %w", err)
	}
	return result, nil
}

func boolParam(q url.Values, name string) (bool, error) {
	switch q.Get(name) {
	case "", "false":
		return false, nil
	case "true":
		return true, nil
	}
	return false, invalidParam(name, "must be true or false")
}
