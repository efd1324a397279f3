package api

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"time"

	"pipesync/api/syncjson"
	"pipesync/cluster"
	"pipesync/fsm"
)

// handleSync takes one batch. Whatever comes of it, the reply has the rate
// limit headers: of the decision where there is one, else as this node knows.
func (s *server) handleSync(c *call) error {
	dry, err := boolParam(c.r.URL.Query(), "dry_run")
	if err != nil {
		return err
	}
	decide := s.sync
	if dry {
		decide = s.drySync
	}
	result, err := decide(c)
	if !dry {
		s.metrics.synced(result, err, c.operations)
	}
	window, known := s.windowAfter(result, c.caller.org)
	if known {
		setRateLimit(c.w.Header(), window)
	}
	if err != nil {
		return err
	}
	switch {
	case result.Outcome == fsm.Replayed:
		c.w.Header().Set(headerReplayed, "true")
	case result.Outcome != fsm.OK:
		return syncRefusal(result, window)
	}
	reply := newSyncReply(result, c.operations, time.Since(c.started))
	if reply.DryRun = dry; dry {
		reply.SyncID = "" // nothing has this id
	}
	c.reply(http.StatusOK, reply)
	return nil
}

// syncRefusal is refusal, with when to come back and, of a guard or a quota, its figures.
func syncRefusal(result *fsm.Result, window fsm.Window) *failure {
	f := refusal(result.Outcome)
	switch result.Outcome {
	case fsm.RateLimited:
		f.retryAfter = max(time.Duration(resetSeconds(window))*time.Second, defaultRetryAfter)
		if wait := result.Sync.RetryMillis; wait != 0 {
			f.message = "the organization's bytes of this window are used up"
			f.retryAfter = time.Duration(wait) * time.Millisecond
		}
	case fsm.TooManyRefusals:
		f.retryAfter = time.Duration(result.Sync.RetryMillis) * time.Millisecond
	case fsm.IdempotencyStoreFull:
		f.retryAfter = storeFullRetryAfter
	case fsm.DeleteGuard:
		f.tellLosses(result.Sync.Losses)
	case fsm.QuotaExceeded:
		f.tellExcess(result.Sync.Excess)
	}
	return f
}

// storeFullRetryAfter is a guess: keys expire one after another, the first at
// any time in the next day.
const storeFullRetryAfter = time.Minute

// sync takes the batch from its bytes to the cluster's decision.
func (s *server) sync(c *call) (*fsm.Result, error) {
	key, err := idempotencyKey(c.r.Header)
	if err != nil {
		return nil, err
	}
	request, err := s.readSync(c)
	if err != nil {
		return nil, err
	}
	command := &request.Sync
	ctx, cancel := c.within(s.Limits.SyncTimeout)
	defer cancel()
	if err := s.address(ctx, c.caller, request); err != nil {
		return nil, err
	}
	command.SyncID = "sync_" + mintULID()
	command.RequestID = mintRequestID()
	if key != "" {
		command.SetIdempotencyKey(syncRoute, key)
	}
	if err := s.State.OmitContents(command); err != nil {
		return nil, err
	}
	result, err := s.proposeSync(ctx, command)
	if errors.Is(err, cluster.ErrOutcomeUnknown) {
		f := asFailure(err)
		// With neither, a later writer could be undone.
		f.unsafeRetry = !command.HasTimestamp && key == ""
		f.syncID = command.SyncID
		return nil, f
	}
	return result, err
}

// proposeSync proposes a sync without the contents that it omits, and with them where the
// state hasn't got them.
func (s *server) proposeSync(ctx context.Context, command *fsm.Sync) (*fsm.Result, error) {
	encode := func() ([]byte, error) {
		body, err := fsm.Encode(command)
		if err != nil {
			return nil, fmt.Errorf("encoding a sync: %w", err)
		}
		return body, nil
	}
	body, err := encode()
	if err != nil {
		return nil, err
	}
	return s.proposeOnce(ctx, body, func() ([]byte, error) {
		command.RestoreContents()
		return encode()
	})
}

// readSync reads and checks the body of a sync.
func (s *server) readSync(c *call) (*syncjson.Request, error) {
	body, err := s.readJSONBody(c, s.Limits.MaxBodyBytes)
	if err != nil {
		return nil, err
	}
	hasDefault := c.caller.defaultStore != ""
	request, problems := syncjson.Decode(body, syncjson.Options{
		MaxOperations: s.Limits.MaxOperations, IgnoreUnknown: s.IgnoreUnknownFields,
		RequireTimestamp: !hasDefault, RequireVectorStore: !hasDefault,
	})
	if problems != nil {
		return nil, problemsFailure(problems)
	}
	c.operations = len(request.Sync.Operations)
	return request, nil
}

// address decides for which organization and vector store the batch is.
func (s *server) address(ctx context.Context, who caller, request *syncjson.Request) error {
	if request.OrganizationID != who.org {
		return refusal(fsm.OrgMismatch)
	}
	command := &request.Sync
	command.Org, command.KeyID, command.Store = who.org, who.keyID, who.defaultStore
	if request.HasVectorStore {
		command.Store = request.VectorStoreID
	}
	if err := who.denySync(command); err != nil {
		return err
	}
	found, err := s.storeExists(ctx, command.Org, command.Store)
	if err != nil {
		return err
	}
	if !found {
		return refusal(fsm.StoreNotFound)
	}
	return nil
}

// propose has the cluster decide about an encoded command.
func (s *server) propose(ctx context.Context, body []byte) (*fsm.Result, error) {
	reply, err := s.Cluster.Propose(ctx, body)
	if err != nil {
		return nil, fmt.Errorf("proposing a command: %w", err)
	}
	result, err := fsm.DecodeResult(reply)
	if err != nil {
		return nil, fmt.Errorf("decoding a result: %w", err)
	}
	return result, nil
}

func mintRequestID() (id fsm.RequestID) {
	_, _ = rand.Read(id[:]) // never fails: it ends the process instead
	return id
}

// problemsFailure tells what is wrong with a sync's body.
func problemsFailure(p *syncjson.Problems) *failure {
	f := fail(Code(p.Code), "%s", p.Message)
	f.total = p.Total
	for _, d := range p.Details {
		told := detail{Field: d.Field, ID: d.ID, Namespace: d.Namespace, Code: d.Code, Message: d.Message}
		if d.Index >= 0 {
			told.Index = &d.Index
		}
		f.details = append(f.details, told)
	}
	return f
}
