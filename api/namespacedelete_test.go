package api

import (
	"strings"
	"testing"

	"pipesync/fsm"
)

func TestNamespaceDelete(t *testing.T) {
	e := newEdge(t)
	e.syncAt("11:00:02", "", up("a/b", "1", "1"), up("m", "1", "1")).want(200, "")
	const path = "/v1/vector-stores/vs_main/namespaces/a%2Fb"
	var reply namespaceDeletedReply
	e.do("DELETE", path, "").want(200, "").decode(&reply)
	if reply.Namespace != "a/b" || !reply.Deleted || reply.Index == 0 {
		t.Errorf("%+v", reply)
	}
	e.do("GET", path, "").want(404, codeNamespaceNotFound)
	e.do("GET", path+"/records", "").want(404, codeNamespaceNotFound)
	e.do("GET", path+"/records/1", "").want(404, codeNamespaceNotFound)
	e.do("DELETE", path, "").want(404, codeNamespaceNotFound)
	if list := e.do("GET", "/v1/vector-stores/vs_main/namespaces", "").want(200, "").body; strings.Contains(list, "a/b") || !strings.Contains(list, `"m"`) {
		t.Errorf("the list has %s", list)
	}
	// What is older than the newest that it had stays away; what is newer brings it back.
	e.syncAt("11:00:01", "", up("a/b", "2", "1")).want(200, "")
	e.do("GET", path, "").want(404, codeNamespaceNotFound)
	e.syncAt("11:00:03", "", up("a/b", "2", "1")).want(200, "")
	e.do("GET", path, "").want(200, "")
	e.do("GET", path+"/records/1", "").want(404, codeRecordNotFound)
}

func TestNamespaceDeleteRefusals(t *testing.T) {
	e := newEdge(t)
	e.do("DELETE", "/v1/vector-stores/vs_main/namespaces/none", "").want(404, codeNamespaceNotFound)
	e.do("DELETE", "/v1/vector-stores/vs_main/namespaces/"+strings.Repeat("n", fsm.MaxNameBytes+1), "").want(404, codeNamespaceNotFound)
	e.do("DELETE", "/v1/vector-stores/vs_none/namespaces/n", "").want(404, codeVectorStoreNotFound)
	e.do("DELETE", "/v1/vector-stores/vs_main/namespaces/n", "", header{"X-API-Key", ""}).want(401, codeMissingAPIKey)
}
