package api

import (
	"net/http"

	"pipesync/fsm"
)

type namespaceDeletedReply struct {
	VectorStoreID string `json:"vector_store_id"`
	Namespace     string `json:"namespace"`
	Deleted       bool   `json:"deleted"`
	Index         uint64 `json:"index"`
}

// handleNamespaceDelete removes all records of the namespace of the path. Whether
// it is there is decided in the log, since a sync may be on its way there.
func (s *server) handleNamespaceDelete(c *call) error {
	store, namespace := c.param("store"), c.param("namespace")
	if denial := c.caller.scope.DenyNamespaces(fsm.MayDeleteNamespace, store, namespace); denial != nil {
		return denied(denial)
	}
	ctx, cancel := c.within(s.Limits.SyncTimeout)
	defer cancel()
	found, err := s.storeExists(ctx, c.caller.org, store)
	switch {
	case err != nil:
		return err
	case !found:
		return refusal(fsm.StoreNotFound)
	case len(namespace) > fsm.MaxNameBytes: // which no namespace has
		return refusal(fsm.NamespaceNotFound)
	}
	result, err := s.callerCommand(ctx, &fsm.NamespaceDelete{
		RequestID: mintRequestID(), Org: c.caller.org, KeyID: c.caller.keyID, Store: store, Namespace: namespace,
	})
	if err != nil {
		return err
	}
	c.reply(http.StatusOK, namespaceDeletedReply{store, namespace, true, result.Index})
	return nil
}
