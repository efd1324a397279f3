package api

import (
	"context"
	"errors"
	"fmt"
	"time"

	"pipesync/cluster"
	"pipesync/fsm"
)

const noSuchStore = "the organization has no vector store of the name in vector_store_id; 'pipesync stores create' makes one"

// outcomeCodes tells each refusal of the state machine.
var outcomeCodes = map[fsm.Outcome]struct {
	code    Code
	message string
}{
	fsm.RateLimited:     {codeRateLimitExceeded, "the organization's syncs of this window are used up"},
	fsm.KeyNotFound:     {codeInvalidAPIKey, "the API key is not known"},
	fsm.KeyRevoked:      {codeInvalidAPIKey, "the API key has been revoked"},
	fsm.KeyExpired:      {codeInvalidAPIKey, "the API key has expired"},
	fsm.KeyScopeDenied:  {codeKeyScopeDenied, "the API key doesn't allow all of the sync"},
	fsm.OrgMismatch:     {codeOrganizationMismatch, "organization_id is not the API key's organization"},
	fsm.StoreNotFound:   {codeVectorStoreNotFound, noSuchStore},
	fsm.NotBootstrapped: {codeNotReady, "the cluster is being formed"},
	fsm.TimestampInFuture: {codeTimestampInFuture,
		"sync_timestamp is more than 5 minutes ahead of the cluster's clock"},
	fsm.StaleSync: {codeStaleSync,
		"an operation is older than what it would overwrite, and on_stale is reject"},
	fsm.StaleRefresh: {codeStaleRefresh,
		"a namespace of the full refresh has data with a newer sync_timestamp"},
	fsm.RefreshTimestampReused: {codeRefreshTimestampReused,
		"the last full refresh of a namespace had the same sync_timestamp and other content: a full refresh can't be sent in pages, since each one replaces the whole namespace"},
	fsm.SyncTooOld: {codeSyncTooOld,
		"sync_timestamp is so old that an id which isn't there may have been deleted later"},
	fsm.QuotaExceeded: {codeQuotaExceeded, "the organization would have more than it may"},
	fsm.DeleteGuard: {codeDeleteGuard,
		"more records would be removed than max_delete_percent allows"},
	fsm.IdempotencyKeyReused: {codeIdempotencyKeyReused,
		"the Idempotency-Key came before, with another request"},
	fsm.VersionTooLow: {codeClusterTooOld,
		"some member of the cluster runs a program that doesn't know this kind of request"},
	fsm.IdempotencyStoreFull: {codeIdempotencyStoreFull,
		"the organization has as many idempotency keys as the cluster keeps for it"},
	fsm.NamespaceNotFound:  {codeNamespaceNotFound, "the vector store has no such namespace"},
	fsm.CheckpointNotFound: {codeCheckpointNotFound, "the organization has no checkpoint of this pipeline"},
	fsm.OrgNotFound:        {codeOrganizationNotFound, "there is no organization of this name"},
	fsm.TokenNotFound:      {codeTokenNotFound, "there is no join token with this id"},
	fsm.TokenUsed:          {codeJoinRefused, "the join token has been used"},
	fsm.TokenExpired:       {codeJoinRefused, "the join token has expired"},
	fsm.TooManyTokens:      {codeTooManyTokens, "there are as many join tokens that haven't expired as there may be"},
	fsm.NoGossipKeys:       {codeNoGossipKeys, "the cluster has no gossip key yet"},
	fsm.GossipKeyRotating:  {codeGossipKeyRotating, "the last rotation of the gossip key has not ended"},
	fsm.TooManyRefusals: {codeRateLimitExceeded,
		"too many syncs of the API key have been refused in the last minute: the refusals before this one say why"},
	fsm.ReconcileBacklog: {codeReconcileBacklog,
		"what the last full refreshes of a namespace removed is still being gone through"},
}

// errorCodes tells each sentinel of the packages below; the first match counts,
// so classes stand after their members.
var errorCodes = []struct {
	sentinel error
	code     Code
	message  string
}{
	{cluster.ErrOutcomeUnknown, codeOutcomeUnknown, "the leader was lost before it told the outcome"},
	{cluster.ErrOverloaded, codeOverloaded, "too many bytes are in flight"},
	{cluster.ErrDiskFull, codeDiskFull, "the leader's disk is too full for writes"},
	{cluster.ErrNotJoined, codeNotJoined, "this node belongs to no cluster yet"},
	{cluster.ErrStopped, codeNotReady, "this node is stopping"},
	{cluster.ErrInvalid, codeInternal, "the leader did not understand this node"},
	{cluster.ErrNoLeader, codeNoLeader, "no leader could be reached in time"},
	{cluster.ErrNotApplied, codeNoLeader, "no leader took the request in time"},
	{cluster.ErrUnauthorized, codeJoinRefused, "the cluster refused the join token, or the node's name"},
	{cluster.ErrNoCertificate, codeNoCertificate, "this node has no certificate to show to the cluster, and can't get one with this token"},
	{cluster.ErrAlreadyJoined, codeAlreadyJoined, "this node belongs to a cluster already"},
	{cluster.ErrIDTaken, codeNodeIDTaken, "another member has this node's id or peer address"},
	{cluster.ErrVersionTooOld, codeNodeTooOld, "this node's program is older than the cluster"},
	{cluster.ErrNoAuthority, codeNoCA, "the cluster has no CA of its own that could be replaced"},
	{cluster.ErrClusterTooOld, codeClusterTooOld, "some member of the cluster runs a program that doesn't know this kind of request"},
	{cluster.ErrUnknownMember, codeMemberNotFound, "the cluster has no such member"},
	{cluster.ErrQuorumAtRisk, codeQuorumAtRisk, "the cluster would lose its quorum"},
	{cluster.ErrTransferFailed, codeLeaderTransferFailed, "leadership was not handed over"},
	{fsm.ErrNotReady, codeNotReady, "this node's state is being replaced by a snapshot"},
	{fsm.ErrClosed, codeNotReady, "this node is stopping"},
	{fsm.ErrGenerationGone, codeCursorExpired, "the namespace has been refreshed since the list was begun"},
	{fsm.ErrStoreNotFound, codeVectorStoreNotFound, noSuchStore},
	{fsm.ErrNamespaceNotFound, codeNamespaceNotFound, "the vector store has no such namespace"},
	{context.DeadlineExceeded, codeNoLeader, "no leader answered in time"},
	{context.Canceled, codeNoLeader, "the client went away"},
}

// refusal is the failure for an outcome other than fsm.OK.
func refusal(o fsm.Outcome) *failure {
	told, ok := outcomeCodes[o]
	if !ok {
		return fail(codeInternal, "the outcome is not known to this node").because(fmt.Errorf("unknown outcome %d in a result", o))
	}
	f := fail(told.code, "%s", told.message)
	if o == fsm.ReconcileBacklog {
		f.retryAfter = backlogRetryAfter
	}
	return f
}

// backlogRetryAfter is about as long as a large generation takes.
const backlogRetryAfter = 10 * time.Second

// asFailure finds the code of any error; what no table knows is INTERNAL, and
// its text stays in the log.
func asFailure(err error) *failure {
	if f, ok := errors.AsType[*failure](err); ok {
		return f
	}
	for _, row := range errorCodes {
		if errors.Is(err, row.sentinel) {
			return fail(row.code, "%s", row.message).because(err)
		}
	}
	return fail(codeInternal, "the request failed; the node's log has the cause").because(err)
}
