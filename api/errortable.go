package api

import "net/http"

// Code is the stable name of an error, the same in every version.
type Code string

const (
	codeMalformedJSON           Code = "MALFORMED_JSON"
	codeValidationFailed        Code = "VALIDATION_FAILED"
	codeBatchSizeExceeded       Code = "BATCH_SIZE_EXCEEDED"
	codeTimestampInFuture       Code = "SYNC_TIMESTAMP_IN_FUTURE"
	codeMissingAPIKey           Code = "MISSING_API_KEY"
	codeInvalidAPIKey           Code = "INVALID_API_KEY"
	codeMissingAdminToken       Code = "MISSING_ADMIN_TOKEN"
	codeInvalidAdminToken       Code = "INVALID_ADMIN_TOKEN"
	codeInvalidAdminCertificate Code = "INVALID_ADMIN_CERTIFICATE"
	codeOrganizationMismatch    Code = "ORGANIZATION_MISMATCH"
	codeKeyScopeDenied          Code = "KEY_SCOPE_DENIED"
	codeQuotaExceeded           Code = "QUOTA_EXCEEDED"
	codeJoinRefused             Code = "JOIN_REFUSED"
	codeNoCertificate           Code = "NO_CERTIFICATE"
	codeNoCA                    Code = "NO_CA"
	codeTokenNotFound           Code = "TOKEN_NOT_FOUND"
	codeTooManyTokens           Code = "TOO_MANY_TOKENS"
	codeNoGossipKeys            Code = "NO_GOSSIP_KEYS"
	codeGossipKeyRotating       Code = "GOSSIP_KEY_ROTATING"
	codeOrganizationNotFound    Code = "ORGANIZATION_NOT_FOUND"
	codeVectorStoreNotFound     Code = "VECTOR_STORE_NOT_FOUND"
	codeNamespaceNotFound       Code = "NAMESPACE_NOT_FOUND"
	codeRecordNotFound          Code = "RECORD_NOT_FOUND"
	codeSyncNotFound            Code = "SYNC_NOT_FOUND"
	codeCheckpointNotFound      Code = "CHECKPOINT_NOT_FOUND"
	codeKeyNotFound             Code = "KEY_NOT_FOUND"
	codeMemberNotFound          Code = "MEMBER_NOT_FOUND"
	codeRouteNotFound           Code = "ROUTE_NOT_FOUND"
	codeMethodNotAllowed        Code = "METHOD_NOT_ALLOWED"
	codeRequestTimeout          Code = "REQUEST_TIMEOUT"
	codeAlreadyJoined           Code = "ALREADY_JOINED"
	codeQuorumAtRisk            Code = "QUORUM_AT_RISK"
	codeNodeIDTaken             Code = "NODE_ID_TAKEN"
	codeNodeTooOld              Code = "NODE_TOO_OLD"
	codeClusterTooOld           Code = "CLUSTER_TOO_OLD"
	codeKeyEnded                Code = "KEY_ENDED"
	codeStaleSync               Code = "STALE_SYNC"
	codeStaleRefresh            Code = "STALE_REFRESH"
	codeRefreshTimestampReused  Code = "REFRESH_TIMESTAMP_REUSED"
	codeSyncTooOld              Code = "SYNC_TOO_OLD"
	codeDeleteGuard             Code = "DELETE_GUARD"
	codeCursorExpired           Code = "CURSOR_EXPIRED"
	codePayloadTooLarge         Code = "PAYLOAD_TOO_LARGE"
	codeUnsupportedMediaType    Code = "UNSUPPORTED_MEDIA_TYPE"
	codeIdempotencyKeyReused    Code = "IDEMPOTENCY_KEY_REUSED"
	codeRateLimitExceeded       Code = "RATE_LIMIT_EXCEEDED"
	codeIdempotencyStoreFull    Code = "IDEMPOTENCY_STORE_FULL"
	codeReconcileBacklog        Code = "RECONCILE_BACKLOG"
	codeInternal                Code = "INTERNAL"
	codeNoLeader                Code = "NO_LEADER"
	codeOverloaded              Code = "OVERLOADED"
	codeDiskFull                Code = "DISK_FULL"
	codeOutcomeUnknown          Code = "OUTCOME_UNKNOWN"
	codeNotJoined               Code = "NOT_JOINED"
	codeNotReady                Code = "NOT_READY"
	codeLeaderTransferFailed    Code = "LEADER_TRANSFER_FAILED"
)

// errorRow is what one code means. Retryable says whether the same request may
// succeed later, unchanged, and is safe to send again.
type errorRow struct {
	code      Code
	status    int
	retryable bool
	meaning   string
	cure      string
}

// errorTable is the one list of every error that the API tells, in the order of
// its documentation. docs/errors.md is generated from it.
var errorTable = []errorRow{
	{codeMalformedJSON, http.StatusBadRequest, false,
		"The body is not one JSON value that can be read without guessing: a syntax error, a duplicate key, invalid UTF-8, nesting over 128 levels, bytes after the value, or a compressed body that does not decompress.",
		"Send UTF-8 JSON with distinct keys; the message names the place."},
	{codeValidationFailed, http.StatusBadRequest, false,
		"The request could be read, and something in it breaks a rule. Nothing was written.",
		"Each entry of details names a field, for operations also the index, id and namespace: correct all of them and send again."},
	{codeBatchSizeExceeded, http.StatusBadRequest, false,
		"The sync has more operations than one batch may have.",
		"Split an incremental sync into batches of at most 5000 operations. A full refresh can't be split: each one replaces the whole namespace."},
	{codeTimestampInFuture, http.StatusBadRequest, false,
		"sync_timestamp is more than 5 minutes ahead of the leader's clock. Nothing was written: it would make everything that comes before it stale.",
		"Correct the clock that it is taken from, or its time zone; see whether the cluster's own clock is right."},
	{codeMissingAPIKey, http.StatusUnauthorized, false,
		"The request has no X-API-Key header.",
		"Send the key that `pipesync keys create` printed."},
	{codeInvalidAPIKey, http.StatusUnauthorized, false,
		"The API key is unknown, malformed, revoked or expired; the message says which.",
		"Check for a truncated key; make a new one with `pipesync keys create`, or with `pipesync keys rotate` before it ends."},
	{codeMissingAdminToken, http.StatusUnauthorized, false,
		"An admin route was called without `Authorization: Bearer TOKEN`, and without a client certificate.",
		"Send the admin token; a node that was given none keeps it in admin-token in its data directory."},
	{codeInvalidAdminToken, http.StatusUnauthorized, false,
		"The admin token is not the cluster's; nor is it this node's own, which counts until the cluster's is changed.",
		"Use the token of the node that formed the cluster, or that of the last `pipesync admin-token rotate`. Where it is lost, `pipesync recover admin-token` makes another."},
	{codeInvalidAdminCertificate, http.StatusUnauthorized, false,
		"An admin route was called without an admin token, and the client's certificate is no administrator's of this cluster: of a CA that isn't in `http.client_ca_file`, expired, or without the URI `pipesync://CLUSTER_ID/admin/NAME`; the message says which.",
		"Make one with `pipesync certs client`, or send the admin token."},
	{codeOrganizationMismatch, http.StatusForbidden, false,
		"organization_id is not the organization of the API key.",
		"Send the key's own organization, or use another key."},
	{codeKeyScopeDenied, http.StatusForbidden, false,
		"The API key is limited to other actions, vector stores or namespaces. Nothing was written. The message names the first that is denied, details the operation too.",
		"Use a key for it: `pipesync keys list` shows what each is limited to, and `pipesync keys create` makes one."},
	{codeQuotaExceeded, http.StatusForbidden, false,
		"With this sync the organization would have more than it may: details names the quota, what there would be and what may be. Nothing was written.",
		"Delete what is no longer needed, or have the quota raised with `pipesync limits set`. A sync that leaves no more than it finds is never refused for it, but for `bytes_per_window`: send one that is larger in parts. Tombstones go after their retention (7 days unless configured). Checkpoints are of 1000 pipelines at most: name a pipeline the same in each of its runs, and delete those of pipelines that are gone."},
	{codeJoinRefused, http.StatusForbidden, false,
		"The cluster refused the token of a joining node, which is unknown, used or has expired; or the node's name, if its certificate is another's.",
		"Make a token with `pipesync tokens create` at a member of the cluster; each lets one node join."},
	{codeOrganizationNotFound, http.StatusNotFound, false,
		"There is no organization of that name.",
		"Check the name. An organization is made with its first key, vector store or limit."},
	{codeVectorStoreNotFound, http.StatusNotFound, false,
		"The key's organization has no vector store of that name.",
		"Check the name; make it with `pipesync stores create`. A sync never creates one."},
	{codeNamespaceNotFound, http.StatusNotFound, false,
		"The vector store has no namespace of that name.",
		"A namespace exists from the first sync that names it to its deletion; check the spelling and the percent-encoding."},
	{codeRecordNotFound, http.StatusNotFound, false,
		"The namespace has no live record with that id.",
		"It was never pushed, or was deleted; check the percent-encoding of the id."},
	{codeSyncNotFound, http.StatusNotFound, false,
		"The organization's history has no sync with that id: none was applied under it so far, or it is older than the history (30 days or 100,000 syncs unless configured).",
		"After `OUTCOME_UNKNOWN` it may be applied yet: where that was retryable, send the same request again rather than wait for it."},
	{codeCheckpointNotFound, http.StatusNotFound, false,
		"The organization has no checkpoint of that pipeline.",
		"It has one from its first sync with a checkpoint to its deletion: start from the beginning. Check the percent-encoding of the name."},
	{codeKeyNotFound, http.StatusNotFound, false,
		"There is no API key with that key id.",
		"List them with `pipesync keys list`; a key id begins with key_."},
	{codeTokenNotFound, http.StatusNotFound, false,
		"There is no join token with that id: it never was, was revoked, or has gone after it expired.",
		"List them with `pipesync tokens list`; a token's id is what is before its first dot."},
	{codeMemberNotFound, http.StatusNotFound, false,
		"The cluster has no member with that node id.",
		"List them with `pipesync members`."},
	{codeRouteNotFound, http.StatusNotFound, false,
		"No route has that path. Paths are matched as they are written: case counts, and so does a trailing slash.",
		"See /openapi.yaml; percent-encode each id as one path segment."},
	{codeMethodNotAllowed, http.StatusMethodNotAllowed, false,
		"The path exists, with other methods.",
		"Use one of those in the Allow header."},
	{codeRequestTimeout, http.StatusRequestTimeout, true,
		"The body did not arrive in time. Nothing was written.",
		"Send it again, in smaller batches or compressed with gzip or zstd."},
	{codeAlreadyJoined, http.StatusConflict, false,
		"The node that was told to join belongs to a cluster already.",
		"Nothing to do if it is the right one; else start the node on an empty data directory."},
	{codeNoCertificate, http.StatusConflict, false,
		"The node that was told to join has no certificate to show to the cluster, and can't get one: the token doesn't end in the SHA-256 of the cluster's CA, or no member has that CA's key.",
		"Send such a token; or make a certificate with `pipesync certs node` where the CA is, and put it into the node's `peer.certs_dir`."},
	{codeNoCA, http.StatusConflict, false,
		"No member of the cluster has the key of its CA, or nodes speak plain text: there is nothing that the cluster could replace by itself.",
		"With a CA elsewhere, replace it by hand: docs/security.md, \"A new CA\"."},
	{codeTooManyTokens, http.StatusConflict, false,
		"There are 1000 join tokens that have not expired.",
		"Revoke some with `pipesync tokens revoke`, or wait: none lives longer than an hour."},
	{codeNoGossipKeys, http.StatusConflict, false,
		"The cluster has no gossip key so far that could be rotated.",
		"Its leader makes one within seconds; see `pipesync gossip-keys list`."},
	{codeGossipKeyRotating, http.StatusConflict, false,
		"The gossip key is being rotated. The rotation goes on by itself, and waits for members that don't have the new key yet.",
		"See `pipesync gossip-keys list` for those; bring them back, or take them out with `pipesync leave NODE`. One that is dead is waited for no longer than 30 s."},
	{codeQuorumAtRisk, http.StatusConflict, false,
		"The change of membership would leave the cluster without a quorum of reachable voters; the message has the arithmetic.",
		"Bring the unreachable members back first, or repeat it with force=true."},
	{codeNodeIDTaken, http.StatusConflict, false,
		"Another member has the joining node's id or peer address.",
		"Give the node an address of its own, and an empty data directory if it is a copy of another's."},
	{codeNodeTooOld, http.StatusConflict, false,
		"The joining node's program is older than what the cluster's members have agreed on.",
		"Start the version on the node that the members run, as `pipesync members` shows it."},
	{codeClusterTooOld, http.StatusConflict, false,
		"A member of the cluster runs a program that is too old for the request.",
		"Bring every member to the same version; the cluster follows within seconds."},
	{codeKeyEnded, http.StatusConflict, false,
		"The API key that is to be rotated has been revoked, or has expired.",
		"Make a new key with `pipesync keys create`."},
	{codeStaleSync, http.StatusConflict, false,
		"An operation is older than what it would overwrite, a deletion included, or than the last full refresh of its namespace, and the sync has `on_stale: reject`. Nothing was written.",
		"Read the source again and send what it has now, with a new sync_timestamp; or send with `on_stale: skip`."},
	{codeStaleRefresh, http.StatusConflict, false,
		"A namespace of the full refresh already has data with a newer sync_timestamp. Nothing was written.",
		"Read the source again, and send that with a new sync_timestamp."},
	{codeRefreshTimestampReused, http.StatusConflict, false,
		"The last full refresh of a namespace had the same sync_timestamp and other content. Nothing was written: if these are pages of one refresh, each would have replaced the one before.",
		"A full refresh can't be sent in pages. Send the whole namespace in one request, or what changed in an incremental sync; another refresh takes a newer sync_timestamp."},
	{codeSyncTooOld, http.StatusConflict, false,
		"An operation names an id that isn't there, at a time for which deletions are no longer known: it may have been deleted since. Nothing was written.",
		"Read the source again, and send what it has now with a new sync_timestamp."},
	{codeDeleteGuard, http.StatusConflict, false,
		"The sync would remove a larger part of the live records of its namespaces, counted together, than its max_delete_percent allows. Nothing was written; the detail has the figures.",
		"See whether the source was read whole. If so many records are really gone, send it with a higher max_delete_percent, or without."},
	{codeCursorExpired, http.StatusGone, false,
		"The list that the cursor belongs to is no longer there: the namespace was refreshed since, or the cursor was made for another list.",
		"Start the list again without a cursor."},
	{codePayloadTooLarge, http.StatusRequestEntityTooLarge, false,
		"The body is larger than the cap, counted after decompression (16 MiB unless configured).",
		"Send fewer operations in one batch."},
	{codeUnsupportedMediaType, http.StatusUnsupportedMediaType, false,
		"The Content-Type is not application/json, or the Content-Encoding is not gzip, zstd or identity.",
		"Send `Content-Type: application/json`."},
	{codeIdempotencyKeyReused, http.StatusUnprocessableEntity, false,
		"The Idempotency-Key was used in the last 24 hours for another request. Nothing was written.",
		"Use a new key for each request, and the same one only to send that request again, unchanged."},
	{codeRateLimitExceeded, http.StatusTooManyRequests, true,
		"The organization has used up its syncs of the window, or its bytes where the cluster limits them, for which refused requests do not count; or the API key has used up what may be refused of its syncs, 20 a minute, and the message says so. Those of `STALE_SYNC`, `SYNC_TOO_OLD`, `DELETE_GUARD`, `QUOTA_EXCEEDED`, `REFRESH_TIMESTAMP_REUSED` and `RECONCILE_BACKLOG` count where the stored records had to be read for them. Nothing was written.",
		"Wait for the seconds in Retry-After. Larger batches use fewer requests. After refusals do what they said: the same request would be refused again. Pipelines with API keys of their own don't hold up one another so."},
	{codeIdempotencyStoreFull, http.StatusTooManyRequests, true,
		"The organization has as many idempotency keys as the cluster keeps for it (100,000 unless configured); each is kept for 24 hours, and none is dropped before. Nothing was written.",
		"Send it again once older keys have expired. Larger batches use fewer keys. Without a key it is taken at once."},
	{codeReconcileBacklog, http.StatusTooManyRequests, true,
		"A namespace has been replaced several times in a row while it had more than 5000 records, and what the last times removed is still being gone through, for those who follow the changes. Nothing was written.",
		"Send it again after the seconds in Retry-After. A namespace that is refreshed as a whole every few seconds had better be sent what changed."},
	{codeInternal, http.StatusInternalServerError, false,
		"The node failed in a way that it does not know. Its log has the cause under the request id.",
		"Report it with the request id. A sync with a sync_timestamp or an Idempotency-Key may be sent again."},
	{codeNoLeader, http.StatusServiceUnavailable, true,
		"No leader could be reached before the deadline. Nothing was written.",
		"Send it again, after the seconds in Retry-After; if it lasts, see `pipesync status` for voters that are down."},
	{codeOverloaded, http.StatusServiceUnavailable, true,
		"Too much is in flight on this node or on the leader. Nothing was written.",
		"Send it again after the seconds in Retry-After, with fewer requests at once."},
	{codeDiskFull, http.StatusServiceUnavailable, true,
		"The leader's disk has less free space than its watermark, and no voter with more room has taken over so far. Nothing was written.",
		"Make room on the nodes that `pipesync status` shows with the alarm DISK_FULL; writes go on by themselves then."},
	{codeOutcomeUnknown, http.StatusServiceUnavailable, true,
		"The leader was lost after it had taken the request: it may have been committed, or may be yet. A sync was proposed again until the deadline, and its outcome could not be learnt.",
		"Where retryable is true, send the same request again, with the same Idempotency-Key if it had one: then it is applied once. Where it is false, find out first: `GET /v1/pipeline/syncs/{sync_id}` with the sync_id of this error has the sync once it is applied; sent again it could undo a newer write. For other requests read back what is there."},
	{codeNotJoined, http.StatusServiceUnavailable, true,
		"This node belongs to no cluster yet.",
		"Run `pipesync join` on it, or ask another node."},
	{codeNotReady, http.StatusServiceUnavailable, true,
		"This node has not caught up with the cluster, or is stopping: what it would read could be old.",
		"Ask another node, or wait for /readyz to say 200."},
	{codeLeaderTransferFailed, http.StatusServiceUnavailable, true,
		"Leadership could not be handed over in time; the leader may be the same as before.",
		"See `pipesync status`, and try it again once every voter is alive."},
}

var errorRows = func() map[Code]errorRow {
	rows := make(map[Code]errorRow, len(errorTable))
	for _, row := range errorTable {
		rows[row.code] = row
	}
	return rows
}()
