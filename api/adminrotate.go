package api

import (
	"net/http"

	"pipesync/fsm"
)

const (
	defaultOverlapSeconds = 24 * 60 * 60
	maxOverlapSeconds     = 90 * 24 * 60 * 60
)

type rotateRequest struct {
	OverlapSeconds *int64 `json:"overlap_seconds"`
}

// keyRotatedReply tells the new key, and what has become of the other.
type keyRotatedReply struct {
	keyCreatedReply
	Previous keyReply `json:"previous"`
}

func (s *server) handleKeyRotate(c *call) error {
	var request rotateRequest
	if err := s.readAdminBody(c, &request); err != nil {
		return err
	}
	var rules fieldRules
	command := &fsm.KeyRotate{RequestID: mintRequestID(), OverlapSeconds: defaultOverlapSeconds}
	if request.OverlapSeconds != nil {
		command.OverlapSeconds = rules.seconds("overlap_seconds", request.OverlapSeconds, 0, maxOverlapSeconds)
	}
	if err := rules.err(); err != nil {
		return err
	}
	previous, err := s.findKey(c)
	if err != nil {
		return err
	}
	made := fsm.KeyInfo{}
	var text string
	text, made.ID, command.SecretHash = mintKey()
	command.KeyID, command.NewKeyID = previous.ID, made.ID
	c.concerns("new_key_id", made.ID)
	result, err := s.commandForKey(c, command)
	if err != nil {
		return err
	}
	previous.Key, made.Key = command.Rows(previous.Key, s.Now().UnixNano())
	s.readBack(c, result.Index, &previous, &made)
	c.w.Header().Set("Cache-Control", "no-store")
	c.reply(http.StatusCreated, keyRotatedReply{keyCreatedReply{text, newKeyFields(made)}, newKeyReply(previous)})
	return nil
}

// findKey returns the key of the path, in use or not.
func (s *server) findKey(c *call) (key fsm.KeyInfo, err error) {
	if key.ID, err = keyIDParam(c); err != nil {
		return key, err
	}
	ctx, cancel := c.within(s.Limits.ReadTimeout)
	defer cancel()
	found, err := s.lookup(ctx, "key\x00"+key.ID, func() (found bool, err error) {
		key.Key, found, err = s.State.Key(key.ID)
		return found, err
	})
	if err == nil && !found {
		err = noSuchKey()
	}
	return key, err
}
