package api

import (
	"net"
	"net/http"
	"strings"

	"pipesync/api/auditlog"
)

// refusedCredentials are the codes of requests whose key, token or certificate is not
// valid, or doesn't allow what was asked for. Requests without any are not among them.
var refusedCredentials = map[Code]bool{
	codeInvalidAPIKey: true, codeKeyScopeDenied: true, codeOrganizationMismatch: true,
	codeInvalidAdminToken: true, codeInvalidAdminCertificate: true,
}

// isAction says whether the audit log has a line for each of the route's requests: an
// administrator's that change something, or take all of the data away.
func (r *route) isAction() bool {
	return r.access == admin && (r.method != http.MethodGet || r.pattern == "/v1/admin/backup")
}

// parameterNames are what the API calls the parameters of routes.
var parameterNames = map[string]string{
	"key": "key_id", "token": "token_id", "node": "node_id", "org": paramOrganizationID, "store": paramVectorStoreID,
	"namespace": "namespace", "id": "id", "sync": "sync_id", "pipeline": "pipeline",
}

// takeDown tells the audit log of a call that is over, if it is for it.
func (s *server) takeDown(c *call) {
	refused := refusedCredentials[c.code]
	if c.found == nil || !refused && !(c.found.isAction() && c.actor != "") {
		return
	}
	for _, p := range c.params {
		c.concerns(parameterNames[p.Key], p.Value)
	}
	e := auditlog.Event{
		RequestID: c.id, TraceID: c.traceID(), Actor: c.actor, Remote: c.r.RemoteAddr, Action: c.route, Target: c.target,
		Status: c.w.status, Code: string(c.code),
	}
	if !refused {
		s.AuditLog.Record(e)
		return
	}
	e.Reason = c.reason // other codes' may quote what was sent
	host, _, _ := net.SplitHostPort(c.r.RemoteAddr)
	s.AuditLog.Refuse(e, strings.Join([]string{e.Code, e.Actor, host}, " "))
}
