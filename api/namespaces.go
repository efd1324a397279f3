package api

import (
	"encoding/hex"
	"fmt"
	"net/http"
	"time"

	"pipesync/fsm"
)

type namespaceReply struct {
	Name       string `json:"name"`
	Records    uint64 `json:"records"`
	Bytes      uint64 `json:"bytes"`
	Digest     string `json:"digest"`
	Generation uint32 `json:"generation"`
	Index      uint64 `json:"index"`
	UpdatedAt  string `json:"updated_at"`
}

func newNamespaceReply(n fsm.NamespaceInfo) namespaceReply {
	return namespaceReply{
		Name: n.Name, Records: n.Records, Bytes: n.Bytes, Digest: hex.EncodeToString(n.Digest[:]),
		Generation: uint32(n.Generation), Index: n.Index, UpdatedAt: timestamp(n.UpdatedAt),
	}
}

// timestamp is RFC 3339 in UTC of nanoseconds since the Unix epoch.
func timestamp(nanos int64) string {
	return time.Unix(0, nanos).UTC().Format(time.RFC3339Nano)
}

// readOrg runs read on a view in which the caller's key is valid.
func (s *server) readOrg(c *call, read func(v *fsm.View) error) error {
	view, err := s.viewFor(c)
	if err != nil {
		return err
	}
	defer view.Close()
	if err := s.stillValid(view, c.caller.keyID); err != nil {
		return err
	}
	return read(view)
}

// readStore is readOrg where the vector store of the path exists too, and the
// key may read it.
func (s *server) readStore(c *call, read func(v *fsm.View, org, store string) error) error {
	if denial := c.caller.scope.DenyNamespaces(fsm.MayRead, c.param("store")); denial != nil {
		return denied(denial)
	}
	return s.readOrg(c, func(view *fsm.View) error {
		org, store := c.caller.org, c.param("store")
		_, ok, err := view.Store(org, store)
		if err != nil {
			return fmt.Errorf("reading a vector store: %w", err)
		}
		if !ok {
			return refusal(fsm.StoreNotFound)
		}
		return read(view, org, store)
	})
}

func (s *server) handleNamespaces(c *call) error {
	return s.readStore(c, func(v *fsm.View, org, store string) error {
		p, err := parsePage(c.r.URL.Query(), cursorScope(v, "namespaces", org, store), 0)
		if err != nil {
			return err
		}
		found, err := v.Namespaces(org, store, c.caller.scope, p.after, p.limit+1)
		if err != nil {
			return fmt.Errorf("listing namespaces: %w", err)
		}
		var reply struct {
			Namespaces []namespaceReply `json:"namespaces"`
			NextCursor *string          `json:"next_cursor"`
		}
		found, reply.NextCursor = cutPage(p, found, func(n fsm.NamespaceInfo) string { return n.Name })
		for _, n := range found {
			reply.Namespaces = append(reply.Namespaces, newNamespaceReply(n))
		}
		c.reply(http.StatusOK, reply)
		return nil
	})
}

func (s *server) handleNamespace(c *call) error {
	return s.readNamespace(c, func(_ *fsm.View, n fsm.NamespaceInfo, _, _ string) error {
		c.reply(http.StatusOK, newNamespaceReply(n))
		return nil
	})
}

// readNamespace runs read on the namespace of the path, which the key may read.
func (s *server) readNamespace(c *call, read func(v *fsm.View, n fsm.NamespaceInfo, org, store string) error) error {
	name := c.param("namespace")
	if denial := c.caller.scope.DenyNamespaces(fsm.MayRead, c.param("store"), name); denial != nil {
		return denied(denial)
	}
	return s.readStore(c, func(v *fsm.View, org, store string) error {
		n, ok, err := v.Namespace(org, store, name)
		if err != nil {
			return fmt.Errorf("reading a namespace: %w", err)
		}
		if !ok {
			return fail(codeNamespaceNotFound, "the vector store has no such namespace")
		}
		return read(v, n, org, store)
	})
}
