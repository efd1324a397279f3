package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"pipesync/client"
)

// openTo opens a connection to the HTTP port of a node and sends the beginning of
// something.
func (s *suite) openTo(addr, beginning string) net.Conn {
	s.Helper()
	conn, err := net.Dial("tcp", addr)
	s.must(err)
	s.Cleanup(func() { _ = conn.Close() })
	_, err = io.WriteString(conn, beginning)
	s.must(err)
	return conn
}

// Clients that say nothing, those that stop in the middle of a header or a body, and
// those that were answered and stay: a thousand and more of them take nothing from
// others, and those that hold a request open are ended.
func TestSlowClients(t *testing.T) {
	t.Parallel()
	const ofEachKind = 400
	s := shared(t)
	n := s.follower()
	tn := s.tenant(n)
	addr := strings.TrimPrefix(n.HTTP, "http://")
	var silent, halfHeader net.Conn
	for range ofEachKind {
		silent = s.openTo(addr, "")
		halfHeader = s.openTo(addr, "POST "+syncPath+" HTTP/1.1\r\nHost: node\r\nX-API-Key: ")
		s.openTo(addr, fmt.Sprintf("POST %s HTTP/1.1\r\nHost: node\r\nX-API-Key: %s\r\nContent-Type: application/json\r\nContent-Length: 8000000\r\n\r\n{", syncPath, tn.key))
		idle := s.openTo(addr, "GET /livez HTTP/1.1\r\nHost: node\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(idle), nil)
		s.must(err)
		_ = resp.Body.Close()
	}
	for i := range 20 {
		s.ok(s.sync(n, tn, tn.batch(client.Incremental, upsert("ns", fmt.Sprint(i), `{}`))))
	}
	if got := s.all(n, tn, "ns"); len(got) != 20 {
		t.Errorf("%d records of 20", len(got))
	}
	for what, conn := range map[string]net.Conn{"a silent connection": silent, "half a header": halfHeader} {
		s.must(conn.SetReadDeadline(time.Now().Add(testDeadline)))
		if _, err := io.Copy(io.Discard, conn); errors.Is(err, net.ErrClosed) || isTimeout(err) {
			t.Errorf("%s is never ended: %v", what, err)
		}
	}
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

func TestHugeHeaders(t *testing.T) {
	s := shared(t)
	tn := s.tenant(s.Nodes[0])
	plain := *s // the document doesn't speak of what net/http answers by itself
	plain.http = &http.Client{Transport: &http.Transport{}}
	defer plain.http.CloseIdleConnections()
	for name, header := range map[string]map[string]string{
		"one field":   {"X-Large": strings.Repeat("x", 1<<20)},
		"many fields": manyFields(20_000),
	} {
		got, err := plain.send(s.Nodes[0], request{path: syncPath, key: tn.key, body: `{}`, header: header})
		if err == nil && got.status != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("%s: answer %d: %s", name, got.status, got.body)
		}
	}
	s.ok(s.sync(s.Nodes[0], tn, tn.batch(client.Incremental, upsert("ns", "after", `{}`))))
}

func manyFields(n int) map[string]string {
	all := make(map[string]string, n)
	for i := range n {
		all[fmt.Sprint("X-Field-", i)] = "value"
	}
	return all
}
