package api

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"pipesync/fsm/backup"
)

func TestBackup(t *testing.T) {
	e := newEdge(t)
	e.push(`{"action":"upsert","namespace":"docs","id":"1","data":{}}`)
	e.do("GET", "/v1/admin/backup", "", header{"Authorization", ""}).want(401, codeMissingAdminToken)

	r := e.do("GET", "/v1/admin/backup", "").want(200, "").wantHeader("Content-Type", "application/octet-stream")
	h, info, err := backup.Inspect(strings.NewReader(r.body))
	if err != nil || h.Node != "node_1" || h.Version != "test" || info.ClusterID != "cluster_1" || info.AppliedIndex != e.log.sm.Applied() {
		t.Errorf("it is of %+v, %+v, %v", h, info, err)
	}
	r.wantHeader("X-Pipesync-Index", strconv.FormatUint(info.AppliedIndex, 10)).
		wantHeader("X-Pipesync-State-Bytes", strconv.FormatInt(info.Bytes, 10))
}

// clogged is a client that takes nothing until it is told to, and then fails.
type clogged struct {
	http.ResponseWriter
	reached, fail chan struct{}
}

func (c clogged) Write([]byte) (int, error) {
	c.reached <- struct{}{}
	<-c.fail
	return 0, errors.New("gone")
}

// A node sends one at a time. A reply that can't be ended is cut, so that what came
// isn't taken for a backup.
func TestBackupIsCut(t *testing.T) {
	e := newEdge(t)
	r := httptest.NewRequest("GET", "/v1/admin/backup", nil)
	r.Header.Set("Authorization", "Bearer "+testAdmin)
	w := clogged{httptest.NewRecorder(), make(chan struct{}), make(chan struct{})}
	ended := make(chan any)
	go func() {
		defer func() { ended <- recover() }()
		e.handler.ServeHTTP(w, r)
	}()
	<-w.reached
	e.do("GET", "/v1/admin/backup", "").want(503, codeOverloaded)
	close(w.fail)
	if err, _ := (<-ended).(error); !errors.Is(err, http.ErrAbortHandler) {
		t.Errorf("it ended with %v", err)
	}
	e.do("GET", "/v1/admin/backup", "").want(200, "")
}
