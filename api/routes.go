package api

import "net/http"

const (
	get   = http.MethodGet
	post  = http.MethodPost
	patch = http.MethodPatch
	del   = http.MethodDelete
)

// routes is every route of the HTTP port.
func (s *server) routes() []route {
	return []route{
		{post, "/v1/pipeline/sync", keyed, false, s.handleSync},
		{post, "/v1/connectors/pipeline/sync", keyed, false, s.handleSync},
		{get, "/v1/pipeline/syncs", keyed, false, s.handleSyncs},
		{get, "/v1/pipeline/syncs/:sync", keyed, false, s.handlePastSync},
		{get, "/v1/pipeline/checkpoints/:pipeline", keyed, false, s.handleCheckpoint},
		{del, "/v1/pipeline/checkpoints/:pipeline", keyed, false, s.handleCheckpointDelete},
		{get, "/v1/pipeline/health", open, true, s.handleHealth},

		{get, "/v1/vector-stores/:store/namespaces", keyed, false, s.handleNamespaces},
		{get, "/v1/vector-stores/:store/namespaces/:namespace", keyed, false, s.handleNamespace},
		{del, "/v1/vector-stores/:store/namespaces/:namespace", keyed, false, s.handleNamespaceDelete},
		{get, "/v1/vector-stores/:store/namespaces/:namespace/records", keyed, false, s.handleRecords},
		{get, "/v1/vector-stores/:store/namespaces/:namespace/records/:id", keyed, false, s.handleRecord},

		{get, "/v1/admin/status", admin, true, s.handleStatus},
		{get, "/v1/admin/members", admin, false, s.handleMembers},
		{post, "/v1/admin/members/join", admin, true, s.handleJoin},
		{del, "/v1/admin/members/:node", admin, false, s.handleRemove},
		{post, "/v1/admin/leader/transfer", admin, false, s.handleTransfer},
		{post, "/v1/admin/ca/rotate", admin, false, s.handleRotateCA},
		{post, "/v1/admin/scrub", admin, false, s.handleScrub},
		{get, "/v1/admin/backup", admin, false, s.handleBackup},
		{post, "/v1/admin/keys", admin, false, s.handleKeyCreate},
		{get, "/v1/admin/keys", admin, false, s.handleKeys},
		{del, "/v1/admin/keys/:key", admin, false, s.handleKeyRevoke},
		{post, "/v1/admin/keys/:key/rotate", admin, false, s.handleKeyRotate},
		{post, "/v1/admin/admin-token/rotate", admin, false, s.handleAdminTokenRotate},
		{post, "/v1/admin/tokens", admin, false, s.handleTokenCreate},
		{get, "/v1/admin/tokens", admin, false, s.handleTokens},
		{del, "/v1/admin/tokens/:token", admin, false, s.handleTokenRevoke},
		{get, "/v1/admin/gossip-keys", admin, false, s.handleGossipKeys},
		{post, "/v1/admin/gossip-keys/rotate", admin, false, s.handleGossipKeysRotate},
		{get, "/v1/admin/organizations", admin, false, s.handleOrganizations},
		{del, "/v1/admin/organizations/:org", admin, false, s.handleOrganizationDelete},
		{post, "/v1/admin/stores", admin, false, s.handleStoreCreate},
		{get, "/v1/admin/stores", admin, false, s.handleStores},
		{del, "/v1/admin/stores/:store", admin, false, s.handleStoreDelete},
		{get, "/v1/admin/limits/:org", admin, false, s.handleLimits},
		{patch, "/v1/admin/limits/:org", admin, false, s.handleLimitsSet},
		{get, "/v1/admin/settings", admin, false, s.handleSettings},
		{patch, "/v1/admin/settings", admin, false, s.handleSettingsSet},

		{get, "/livez", open, true, s.handleLive},
		{get, "/readyz", open, true, s.handleReady},
		{get, "/healthz", open, true, s.handleReady},
		{get, "/metrics", open, true, s.handleMetrics},
		{get, "/openapi.yaml", open, true, s.handleOpenAPI},
	}
}
