package fsm

// Kinds and outcomes have names in metrics and logs. Nothing that is stored or sent
// has them.

var kindNames = [maxKinds]string{
	KindBootstrap:       "bootstrap",
	KindSync:            "sync",
	KindKeyCreate:       "key_create",
	KindKeyRevoke:       "key_revoke",
	KindStoreCreate:     "store_create",
	KindCollect:         "collect",
	KindReconcile:       "reconcile",
	KindNamespaceDelete: "namespace_delete",
	KindStoreDelete:     "store_delete",
	KindOrgDelete:       "org_delete",
	KindChangeCollect:   "change_collect",
	KindKeyRotate:       "key_rotate",
	KindLimitsSet:       "limits_set",
	KindSettingsSet:     "settings_set",
	KindMark:            "mark",
	KindVersionRaise:    "version_raise",
	KindPurge:           "purge",

	KindCheckpointDelete: "checkpoint_delete",

	KindTokenCreate: "token_create",
	KindTokenUse:    "token_use",
	KindTokenRevoke: "token_revoke",

	KindGossipKeyAdd:     "gossip_key_add",
	KindGossipKeyAdvance: "gossip_key_advance",

	KindAdminTokenSet: "admin_token_set",

	KindCARotationBegin:   "ca_rotation_begin",
	KindCARotationAdvance: "ca_rotation_advance",
}

// Name is empty for a kind that this program doesn't know.
func (k Kind) Name() string {
	if int(k) >= len(kindNames) {
		return ""
	}
	return kindNames[k]
}

// Kinds lists all that there are, by number.
func Kinds() []Kind {
	var kinds []Kind
	for k, name := range kindNames {
		if name != "" {
			kinds = append(kinds, Kind(k))
		}
	}
	return kinds
}

var outcomeNames = [...]string{
	OK:                     "ok",
	RateLimited:            "rate_limited",
	KeyNotFound:            "key_not_found",
	KeyRevoked:             "key_revoked",
	OrgMismatch:            "org_mismatch",
	StoreNotFound:          "store_not_found",
	NotBootstrapped:        "not_bootstrapped",
	TimestampInFuture:      "timestamp_in_future",
	StaleSync:              "stale_sync",
	StaleRefresh:           "stale_refresh",
	RefreshTimestampReused: "refresh_timestamp_reused",
	SyncTooOld:             "sync_too_old",
	Replayed:               "replayed",
	IdempotencyKeyReused:   "idempotency_key_reused",
	IdempotencyStoreFull:   "idempotency_store_full",
	KeyExpired:             "key_expired",
	KeyScopeDenied:         "key_scope_denied",
	QuotaExceeded:          "quota_exceeded",
	DeleteGuard:            "delete_guard",
	NamespaceNotFound:      "namespace_not_found",
	OrgNotFound:            "org_not_found",
	VersionTooLow:          "version_too_low",
	TooManyRefusals:        "too_many_refusals",
	ReconcileBacklog:       "reconcile_backlog",
	CheckpointNotFound:     "checkpoint_not_found",
	ContentsOmitted:        "contents_omitted",
	TokenNotFound:          "token_not_found",
	TokenUsed:              "token_used",
	TokenExpired:           "token_expired",
	TooManyTokens:          "too_many_tokens",
	NoGossipKeys:           "no_gossip_keys",
	GossipKeyRotating:      "gossip_key_rotating",
	RotationRunning:        "rotation_running",
	RotationMismatch:       "rotation_mismatch",
}

// Name is empty for an outcome that this program doesn't know.
func (o Outcome) Name() string {
	if int(o) >= len(outcomeNames) {
		return ""
	}
	return outcomeNames[o]
}

// Outcomes lists all that there are, by number.
func Outcomes() []Outcome {
	var outcomes []Outcome
	for o := range Outcome(len(outcomeNames)) {
		if o.known() {
			outcomes = append(outcomes, o)
		}
	}
	return outcomes
}
