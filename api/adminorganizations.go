package api

import (
	"fmt"
	"net/http"

	"pipesync/fsm"
)

type organizationReply struct {
	OrganizationID string     `json:"organization_id"`
	CreatedAt      string     `json:"created_at"`
	Usage          usageReply `json:"usage"`
}

type organizationDeletedReply struct {
	OrganizationID string `json:"organization_id"`
	Deleted        bool   `json:"deleted"`
}

func (s *server) handleOrganizations(c *call) error {
	view, err := s.viewFor(c)
	if err != nil {
		return err
	}
	defer view.Close()
	p, err := parsePage(c.r.URL.Query(), cursorScope(view, "organizations"), 0)
	if err != nil {
		return err
	}
	found, err := view.Orgs(p.after, p.limit+1)
	if err != nil {
		return fmt.Errorf("listing organizations: %w", err)
	}
	var reply struct {
		Organizations []organizationReply `json:"organizations"`
		NextCursor    *string             `json:"next_cursor"`
	}
	found, reply.NextCursor = cutPage(p, found, func(o fsm.OrgInfo) string { return o.Name })
	reply.Organizations = make([]organizationReply, len(found))
	for i, o := range found {
		usage, err := view.OrgUsage(o)
		if err != nil {
			return fmt.Errorf("reading the usage of organization %s: %w", o.Name, err)
		}
		reply.Organizations[i] = organizationReply{o.Name, timestamp(o.CreatedAt), newUsageReply(usage)}
	}
	c.reply(http.StatusOK, reply)
	return nil
}

func (s *server) handleOrganizationDelete(c *call) error {
	org := c.param("org")
	var rules fieldRules
	rules.name(paramOrganizationID, org, organizationPrefix, true)
	if err := rules.err(); err != nil {
		return err
	}
	if _, err := s.command(c, &fsm.OrgDelete{RequestID: mintRequestID(), Org: org}); err != nil {
		return err
	}
	c.reply(http.StatusOK, organizationDeletedReply{org, true})
	return nil
}
