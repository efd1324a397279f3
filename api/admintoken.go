package api

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"

	"pipesync/fsm"
)

// tokenFingerprint tells admin tokens apart without telling them.
func tokenFingerprint(hash [sha256.Size]byte) string { return hex.EncodeToString(hash[:4]) }

// handleAdminTokenRotate puts another admin token in the place of the cluster's. It comes
// as its hash: so it is nowhere but with whoever has made it, who can go on with it also
// if the reply is lost.
func (s *server) handleAdminTokenRotate(c *call) error {
	var request struct {
		SHA256 string `json:"sha256"`
	}
	if err := s.readAdminBody(c, &request); err != nil {
		return err
	}
	raw, err := hex.DecodeString(request.SHA256)
	if err != nil || len(raw) != sha256.Size || [sha256.Size]byte(raw) == ([sha256.Size]byte{}) {
		return invalidParam("sha256", "must be the SHA-256 of the new token, 64 hexadecimal digits")
	}
	hash := [sha256.Size]byte(raw)
	c.concerns("new_admin_token", tokenFingerprint(hash))
	// The next request to this node may come with it.
	view, err := s.commandView(c, &fsm.AdminTokenSet{RequestID: mintRequestID(), Hash: hash})
	if err != nil {
		return err
	}
	defer view.Close()
	change, err := view.AdminTokenChange()
	if err != nil {
		return fmt.Errorf("reading how often the admin token was changed: %w", err)
	}
	c.reply(http.StatusOK, struct {
		Fingerprint string `json:"fingerprint"`
		Changes     uint64 `json:"changes"`
	}{tokenFingerprint(hash), change.Changes})
	return nil
}
