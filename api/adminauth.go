package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
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

// checkAdminToken accepts this node's own token, with which a node is told to join,
// and the cluster's.
func (s *server) checkAdminToken(c *call) error {
	scheme, token, _ := strings.Cut(c.r.Header.Get("Authorization"), " ")
	token = strings.TrimSpace(token)
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return fail(codeMissingAdminToken, "the Authorization header with the admin token is missing")
	}
	sent := sha256.Sum256([]byte(token))
	c.actor = fmt.Sprintf("admin-token:%x", sent[:4])
	if s.AdminToken != "" {
		own := sha256.Sum256([]byte(s.AdminToken))
		if subtle.ConstantTimeCompare(own[:], sent[:]) == 1 {
			return nil
		}
	}
	matches := false
	known, err := s.inView(func(v *fsm.View) (bool, error) {
		settings, ok, err := v.Settings()
		matches = ok && subtle.ConstantTimeCompare(settings.AdminTokenHash[:], sent[:]) == 1
		return ok, err
	})
	switch {
	case err != nil:
		return err
	case !known && s.isJoined(): // it starts, and its state is still to come
		return fail(codeNotReady, "this node can't tell yet whether the admin token is the cluster's")
	case !matches:
		return fail(codeInvalidAdminToken, "the admin token is not valid here")
	}
	return nil
}
