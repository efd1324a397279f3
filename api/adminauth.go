package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"strings"

	"pipesync/cluster/certs"
	"pipesync/fsm"
)

// authenticateAdmin accepts an administrator by a token or, where that doesn't do, by a
// certificate.
func (s *server) authenticateAdmin(c *call) error {
	r := c.r
	byToken := s.checkAdminToken(c)
	if byToken == nil || r.TLS == nil || s.Certificates == nil {
		return byToken
	}
	name, err := s.Certificates.Administrator(r.TLS.PeerCertificates, s.Cluster.Status().ClusterID)
	switch {
	case err == nil:
		c.actor = "certificate:" + name
		return nil
	case errors.Is(err, certs.ErrNoCertificate) || r.Header.Get("Authorization") != "":
		return byToken
	}
	return fail(codeInvalidAdminCertificate, "%v", err)
}

// checkAdminToken accepts the cluster's token, and this node's own, with which it is told
// to join: at a member only until the cluster's has been changed. Then whoever has any
// token of before is shut out everywhere.
func (s *server) checkAdminToken(c *call) error {
	scheme, token, _ := strings.Cut(c.r.Header.Get("Authorization"), " ")
	token = strings.TrimSpace(token)
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return fail(codeMissingAdminToken, "the Authorization header with the admin token is missing")
	}
	sent := sha256.Sum256([]byte(token))
	c.actor = "admin-token:" + tokenFingerprint(sent)
	isOwn := false
	if s.AdminToken != "" {
		own := sha256.Sum256([]byte(s.AdminToken))
		isOwn = subtle.ConstantTimeCompare(own[:], sent[:]) == 1
	}
	isClusters, isChanged := false, false
	known, err := s.inView(func(v *fsm.View) (bool, error) {
		settings, ok, err := v.Settings()
		if err != nil || !ok {
			return ok, err
		}
		isClusters = subtle.ConstantTimeCompare(settings.AdminTokenHash[:], sent[:]) == 1
		change, err := v.AdminTokenChange()
		isChanged = change.Changes > 0
		return true, err
	})
	switch {
	case err != nil:
		return err
	case isClusters || isOwn && !isChanged:
		return nil
	case !known && s.isJoined(): // it starts, and its state is still to come
		return fail(codeNotReady, "this node can't tell yet whether the admin token is the cluster's")
	}
	return fail(codeInvalidAdminToken, "the admin token is not valid here")
}
