package e2e

import (
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"pipesync/client"
	"pipesync/internal/testcluster"
)

// Certificates live a minute, and are renewed again and again while clients sync to all
// nodes and leadership moves, so that new connections are made all the time. One node
// has no CA and asks the others. No request fails.
func TestCertificatesOfAMinute(t *testing.T) {
	if !soaking() {
		t.Skip("takes five minutes: scripts/soak runs it")
	}
	const life, lasts = time.Minute, 5 * time.Minute
	s := newSuite(t, testcluster.New(t, testcluster.Config{Binary: binary, Nodes: 3, CertLife: life}), 4*lasts)
	s.must(os.Remove(filepath.Join(s.Nodes[2].CertsDir(), "ca.pem")))
	tns := make([]tenant, 8) // below the rate limit of each
	for i := range tns {
		tns[i] = s.tenant(s.Nodes[0])
	}
	first := certificates(s)
	syncs := 0
	pace := time.NewTicker(killPace)
	defer pace.Stop()
	for began := time.Now(); time.Since(began) < lasts; syncs++ {
		tn := tns[syncs%len(tns)]
		s.ok(s.sync(s.Nodes[syncs%3], tn, tn.batch(client.Incremental, upsert("ns", fmt.Sprint(syncs), `{}`))))
		if syncs%100 == 99 {
			_, err := s.admin(s.Nodes[0]).TransferLeadership(s.ctx, "")
			s.must(err)
			s.leader()
		}
		<-pace.C
	}
	t.Logf("%d syncs", syncs)
	for i, now := range certificates(s) {
		if now == first[i] {
			t.Errorf("%s has the certificate that it began with", s.Nodes[i].ID)
		}
	}
}

// certificates are those of all nodes.
func certificates(s *suite) []string {
	s.Helper()
	var all []string
	for _, n := range s.Nodes {
		text, err := os.ReadFile(filepath.Join(n.CertsDir(), "node.pem"))
		s.must(err)
		block, _ := pem.Decode(text)
		all = append(all, string(block.Bytes))
	}
	return all
}
