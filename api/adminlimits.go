package api

import (
	"encoding/hex"
	"fmt"
	"net/http"

	"pipesync/fsm"
)

type limitsReply struct {
	OrganizationID string       `json:"organization_id"`
	Limits         figuresReply `json:"limits"` // its own; 0: that of the settings
	Effective      figuresReply `json:"effective"`
	Usage          usageReply   `json:"usage"`
}

type usageReply struct {
	Records    uint64 `json:"records"`
	Bytes      uint64 `json:"bytes"`
	Tombstones uint64 `json:"tombstones"`
	Namespaces uint64 `json:"namespaces"`
	Digest     string `json:"digest"`
}

func newUsageReply(u fsm.Usage) usageReply {
	return usageReply{u.Records, u.Bytes, u.Tombstones, u.Namespaces, hex.EncodeToString(u.Digest[:])}
}

func (s *server) handleLimits(c *call) error {
	view, err := s.viewFor(c)
	if err != nil {
		return err
	}
	defer view.Close()
	return replyLimits(c, view)
}

func (s *server) handleLimitsSet(c *call) error {
	org := c.param("org")
	var rules fieldRules
	rules.name(paramOrganizationID, org, organizationPrefix, true)
	if err := rules.err(); err != nil {
		return err
	}
	values, err := readFigures(s, c, fsm.LimitsFigures)
	if err != nil {
		return err
	}
	view, err := s.commandView(c, &fsm.LimitsSet{RequestID: mintRequestID(), Org: org, Figures: values})
	if err != nil {
		return err
	}
	defer view.Close()
	return replyLimits(c, view)
}

func replyLimits(c *call, view *fsm.View) error {
	org := c.param("org")
	limits, found, err := view.Limits(org)
	switch {
	case err != nil:
		return fmt.Errorf("reading an organization's limits: %w", err)
	case !found:
		return fail(codeOrganizationNotFound, "there is no organization of this name")
	}
	c.reply(http.StatusOK, limitsReply{
		OrganizationID: org,
		Limits:         newFigures(fsm.LimitsFigures, limits.Own),
		Effective:      newFigures(fsm.LimitsFigures, limits.Effective),
		Usage:          newUsageReply(limits.Usage),
	})
	return nil
}
