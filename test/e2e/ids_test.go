package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"

	"pipesync/client"
)

// awkward are names that routers, proxies and clients like to change.
var awkward = []string{
	"a/b", "/", "//", "a//b", "/lead", "trail/", ".", "..", "../..", "a/../b", "./a",
	"%", "%2F", "%252F", "100%", "a b", "a+b", "?q=1", "#frag", "https://x.example/1?q=2&r=%20#f",
	"emoji 🦊", "🇩🇪", "e\u0301", "\u00e9", "naïve", "a;b", "a:b", "a&b=c", `quote"back\slash`, "records", "namespaces",
	"<>", "{id}", "*", "~", "'",
}

func TestAwkwardIDsAreReachable(t *testing.T) {
	s := shared(t)
	tn := s.tenant(s.Nodes[0])
	var ops []client.Operation
	for i, id := range awkward {
		ops = append(ops, upsert("name/space %2F 🦊", id, fmt.Sprintf(`{"i":%d}`, i)))
	}
	s.ok(s.sync(s.Nodes[0], tn, tn.batch(client.Incremental, ops...)))
	for i, id := range awkward {
		n := s.Nodes[i%3]
		got, err := s.as(tn, n).Record(s.ctx, tn.store, "name/space %2F 🦊", id, client.ReadOptions{})
		if err != nil {
			t.Errorf("reading %q: %v", id, err)
			continue
		}
		if got.ID != id || string(got.Data) != fmt.Sprintf(`{"i":%d}`, i) {
			t.Errorf("reading %q gave %q with %s", id, got.ID, got.Data)
		}
	}
	if found := s.all(s.Nodes[1], tn, "name/space %2F 🦊"); len(found) != len(awkward) {
		t.Errorf("%d records, want %d", len(found), len(awkward))
	}
}

func TestAwkwardNamespacesAreReachable(t *testing.T) {
	s := shared(t)
	tn := s.tenant(s.Nodes[0])
	var ops []client.Operation
	for _, ns := range awkward {
		ops = append(ops, upsert(ns, ns, `{}`))
	}
	s.ok(s.sync(s.Nodes[1], tn, tn.batch(client.Incremental, ops...)))
	for i, ns := range awkward {
		got, err := s.as(tn, s.Nodes[i%3]).Namespace(s.ctx, tn.store, ns, client.ReadOptions{})
		if err != nil || got.Name != ns || got.Records != 1 {
			t.Errorf("namespace %q: %+v, %v", ns, got, err)
		}
		if got, err := s.as(tn, s.Nodes[i%3]).Record(s.ctx, tn.store, ns, ns, client.ReadOptions{}); err != nil || got.ID != ns {
			t.Errorf("record %q of %q: %q, %v", ns, ns, got.ID, err)
		}
	}
}

// Dots that nobody escaped name a record too, since no route has dots.
func TestBareDotsAreNames(t *testing.T) {
	s := shared(t)
	tn := s.tenant(s.Nodes[0])
	s.ok(s.sync(s.Nodes[0], tn, tn.batch(client.Incremental, upsert("ns", "..", `{}`), upsert("ns", ".", `{}`))))
	for _, id := range []string{".", "..", "%2E%2E", "%2e"} {
		got := s.answer(s.Nodes[2], request{key: tn.key,
			path: "/v1/vector-stores/" + tn.store + "/namespaces/ns/records/" + id})
		if got.status != http.StatusOK {
			t.Errorf("%s answered %d: %s", id, got.status, got.body)
		}
	}
}

func TestNoRedirects(t *testing.T) {
	s := shared(t)
	tn := s.tenant(s.Nodes[0])
	for _, path := range []string{
		"/v1/pipeline/sync/", "/V1/pipeline/health", "//v1/pipeline/health", "/v1/pipeline/../pipeline/health",
		"/v1/vector-stores/" + url.PathEscape(tn.store) + "/namespaces/",
	} {
		got := s.answer(s.Nodes[0], request{path: path, key: tn.key})
		if got.status/100 == 3 {
			t.Errorf("%s redirects to %s", path, got.header.Get("Location"))
		}
		s.refused(got, http.StatusNotFound, "ROUTE_NOT_FOUND")
	}
}
