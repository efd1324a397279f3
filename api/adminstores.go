package api

import (
	"fmt"
	"net/http"
	"strings"

	"pipesync/fsm"
)

type storeRequest struct {
	OrganizationID string `json:"organization_id"`
	VectorStoreID  string `json:"vector_store_id"`
}

type storeCreatedReply struct {
	OrganizationID string `json:"organization_id"`
	VectorStoreID  string `json:"vector_store_id"`
	Created        bool   `json:"created"`
}

type storeReply struct {
	OrganizationID string `json:"organization_id"`
	VectorStoreID  string `json:"vector_store_id"`
	CreatedAt      string `json:"created_at"`

	Usage usageReply `json:"usage"`
}

func (s *server) handleStoreCreate(c *call) error {
	var request storeRequest
	if err := s.readAdminBody(c, &request); err != nil {
		return err
	}
	var rules fieldRules
	rules.name(paramOrganizationID, request.OrganizationID, organizationPrefix, true)
	rules.name(paramVectorStoreID, request.VectorStoreID, vectorStorePrefix, true)
	if err := rules.err(); err != nil {
		return err
	}
	c.concerns(paramOrganizationID, request.OrganizationID)
	c.concerns(paramVectorStoreID, request.VectorStoreID)
	result, err := s.command(c, &fsm.StoreCreate{
		RequestID: mintRequestID(), Org: request.OrganizationID, Store: request.VectorStoreID,
	})
	if err != nil {
		return err
	}
	status := http.StatusOK
	if result.Created {
		status = http.StatusCreated
	}
	c.reply(status, storeCreatedReply{request.OrganizationID, request.VectorStoreID, result.Created})
	return nil
}

type storeDeletedReply struct {
	OrganizationID string `json:"organization_id"`
	VectorStoreID  string `json:"vector_store_id"`
	Deleted        bool   `json:"deleted"`
}

func (s *server) handleStoreDelete(c *call) error {
	org, store := c.r.URL.Query().Get(paramOrganizationID), c.param("store")
	var rules fieldRules
	rules.name(paramOrganizationID, org, organizationPrefix, true)
	rules.name(paramVectorStoreID, store, vectorStorePrefix, true)
	if err := rules.err(); err != nil {
		return err
	}
	c.concerns(paramOrganizationID, org)
	if _, err := s.command(c, &fsm.StoreDelete{RequestID: mintRequestID(), Org: org, Store: store}); err != nil {
		return err
	}
	c.reply(http.StatusOK, storeDeletedReply{org, store, true})
	return nil
}

func (s *server) handleStores(c *call) error {
	return s.readOrgList(c, "stores", func(view *fsm.View, p page, org string) error {
		found, err := listStores(view, org, p.after, p.limit+1)
		if err != nil {
			return err
		}
		var reply struct {
			Stores     []storeReply `json:"stores"`
			NextCursor *string      `json:"next_cursor"`
		}
		reply.Stores, reply.NextCursor = cutPage(p, found, func(s storeReply) string {
			return s.OrganizationID + "/" + s.VectorStoreID
		})
		c.reply(http.StatusOK, reply)
		return nil
	})
}

// listStores lists the stores of one organization, or of all, ordered by both
// names, strictly after `after`, which is "org/store" or empty. Neither name can
// hold a slash.
func listStores(v *fsm.View, only, after string, limit int) ([]storeReply, error) {
	orgName, storeName, _ := strings.Cut(after, "/")
	if only != "" {
		return appendStores(nil, v, only, storeName, limit)
	}
	var found []storeReply
	var err error
	if orgName != "" {
		if found, err = appendStores(found, v, orgName, storeName, limit); err != nil {
			return nil, err
		}
	}
	for len(found) < limit {
		orgs, err := v.Orgs(orgName, limit)
		if err != nil {
			return nil, fmt.Errorf("listing organizations: %w", err)
		}
		for _, o := range orgs {
			if found, err = appendStores(found, v, o.Name, "", limit); err != nil {
				return nil, err
			}
			orgName = o.Name
		}
		if len(orgs) < limit {
			break
		}
	}
	return found, nil
}

// appendStores adds an organization's stores to found, up to limit in all.
func appendStores(found []storeReply, v *fsm.View, org, after string, limit int) ([]storeReply, error) {
	if len(found) >= limit {
		return found, nil
	}
	stores, err := v.Stores(org, after, limit-len(found))
	if err != nil {
		return nil, fmt.Errorf("listing vector stores: %w", err)
	}
	for _, st := range stores {
		usage, err := v.StoreUsage(org, st.Name)
		if err != nil {
			return nil, fmt.Errorf("reading what a vector store has: %w", err)
		}
		found = append(found, storeReply{org, st.Name, timestamp(st.CreatedAt), newUsageReply(usage)})
	}
	return found, nil
}
