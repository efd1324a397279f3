package api

import (
	"fmt"
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json"

	"pipesync/fsm"
)

// pastSync is a sync as the history has it. by_namespace may lack some of the
// namespaces that the operations named.
type pastSync struct {
	SyncID        string          `json:"sync_id"`
	Index         uint64          `json:"index"`
	AppliedAt     string          `json:"applied_at"`
	KeyID         string          `json:"key_id"`
	VectorStoreID string          `json:"vector_store_id"`
	SyncMode      string          `json:"sync_mode"`
	SyncTimestamp string          `json:"sync_timestamp"`
	Idempotent    bool            `json:"idempotent"`
	Pipeline      string          `json:"pipeline,omitzero"` // whose checkpoint came with it
	Processed     uint64          `json:"processed"`
	Results       countsReply     `json:"results"`
	Namespaces    uint32          `json:"namespaces"`
	ByNamespace   namespaceCounts `json:"by_namespace"`
	Details       detailsReply    `json:"details"`
	Warnings      []warning       `json:"warnings,omitempty"`
}

var modeNames = map[fsm.Mode]string{fsm.Incremental: "incremental", fsm.FullRefresh: "full_refresh"}

func newPastSync(s fsm.SyncInfo) pastSync {
	done := s.Result()
	return pastSync{
		SyncID: s.SyncID, Index: s.Index, AppliedAt: timestamp(s.AppliedAt), KeyID: s.KeyID, VectorStoreID: s.Store,
		SyncMode: modeNames[fsm.Mode(s.Mode)], SyncTimestamp: timestamp(s.Timestamp), Idempotent: s.Keyed, Pipeline: s.Pipeline,
		Processed:  uint64(s.Upserted) + uint64(s.Deleted) + uint64(s.Skipped),
		Results:    newCounts(done.Counts),
		Namespaces: s.Namespaces, ByNamespace: done.ByNamespace, Details: newDetails(done.Details), Warnings: warnings(done),
	}
}

// maxSyncsRead ends a page of the history early, after so many syncs, those that
// it doesn't list included; next_cursor goes on from there.
const maxSyncsRead = 10_000

func (s *server) handleSyncs(c *call) error {
	return s.readOrg(c, func(v *fsm.View) error {
		org, store := c.caller.org, c.r.URL.Query().Get("vector_store_id")
		p, err := parsePage(c.r.URL.Query(), cursorScope(v, "syncs", org, store), 0)
		if err != nil {
			return err
		}
		list := syncList{caller: c.caller, store: store, page: p, maxRead: maxSyncsRead}
		body, err := list.encode(v, org)
		if err != nil {
			return err
		}
		c.replyJSON(http.StatusOK, body)
		return nil
	})
}

// syncList encodes one page of the history, the newest sync first. Cursors go
// on after the index of a sync.
type syncList struct {
	caller  caller
	store   string // empty: of any
	page    page
	maxRead int

	body []byte
	last uint64 // index of the last sync that was looked at
}

func (l *syncList) encode(v *fsm.View, org string) ([]byte, error) {
	before, err := l.before()
	if err != nil {
		return nil, err
	}
	l.body = append(l.body, `{"syncs":[`...)
	more, err := l.appendSyncs(v, org, before)
	if err != nil {
		return nil, err
	}
	l.body = append(l.body, `],"next_cursor":`...)
	if more {
		l.body = appendString(l.body, *l.page.next(strconv.FormatUint(l.last, 10)))
	} else {
		l.body = append(l.body, "null"...)
	}
	return append(l.body, '}'), nil
}

func (l *syncList) before() (uint64, error) {
	if l.page.after == "" {
		return 0, nil
	}
	before, err := strconv.ParseUint(l.page.after, 10, 64)
	if err != nil {
		return 0, invalidParam("cursor", "is not one that this API gave")
	}
	return before, nil
}

// appendSyncs says whether there are more syncs than the page looked at.
func (l *syncList) appendSyncs(v *fsm.View, org string, before uint64) (more bool, err error) {
	read, listed := 0, 0
	for sync, err := range v.Syncs(org, before) {
		if err != nil {
			return false, fmt.Errorf("listing syncs: %w", err)
		}
		if listed == l.page.limit || read == l.maxRead || len(l.body) >= maxPageBytes {
			return true, nil
		}
		read++
		l.last = sync.Index
		if l.store != "" && sync.Store != l.store || l.caller.denySeeing(&sync) != nil {
			continue
		}
		if listed++; listed > 1 {
			l.body = append(l.body, ',')
		}
		encoded, err := json.Marshal(newPastSync(sync), jsonOptions)
		if err != nil {
			return false, fmt.Errorf("encoding a sync: %w", err)
		}
		l.body = append(l.body, encoded...)
	}
	return false, nil
}

func (s *server) handlePastSync(c *call) error {
	return s.readOrg(c, func(v *fsm.View) error {
		sync, found, err := v.Sync(c.caller.org, c.param("sync"))
		if err != nil {
			return fmt.Errorf("reading a sync: %w", err)
		}
		if !found {
			return fail(codeSyncNotFound, "the organization's history has no sync with this id")
		}
		if denial := c.caller.denySeeing(&sync); denial != nil {
			return denied(denial)
		}
		c.reply(http.StatusOK, newPastSync(sync))
		return nil
	})
}
