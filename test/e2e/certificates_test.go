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
// nodes, leadership moves, and the CA is replaced, so that new connections are made all
// the time. One node has no CA and asks the others. No request fails.
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
	began, first, syncs := time.Now(), certificates(s), 0
	pace := time.NewTicker(killPace)
	defer pace.Stop()
	sync := func() {
		<-pace.C
		tn, i := tns[syncs%len(tns)], syncs
		syncs++
		s.ok(s.sync(s.Nodes[i%3], tn, tn.batch(client.Incremental, upsert("ns", fmt.Sprint(i), `{}`))))
		if i%100 == 99 {
			_, err := s.admin(s.Nodes[0]).TransferLeadership(s.ctx, "")
			s.must(err)
			s.leader()
		}
	}
	renewed := func() bool {
		now := certificates(s)
		return now[0] != first[0] && now[1] != first[1] && now[2] != first[2]
	}
	for rotations := 0; time.Since(began) < lasts || rotations == 0; {
		sync()
		if !renewed() {
			continue
		}
		s.rotateCA(sync)
		first = certificates(s)
		rotations++
	}
	t.Logf("%d syncs", syncs)
}

// rotateCA has the cluster replace its CA by the command line, and does work until
// that is whole. Afterwards all nodes trust the new CA alone.
func (s *suite) rotateCA(work func()) {
	s.Helper()
	before, err := s.admin(s.Nodes[0]).Status(s.ctx)
	s.must(err)
	done := make(chan error, 1)
	go func() {
		_, err := s.pipesync("certs", "rotate-ca", "--addr", s.Nodes[0].HTTP, "--admin-token-file", s.AdminTokenFile, "--timeout", testDeadline.String())
		done <- err
	}()
	for {
		select {
		case err := <-done:
			s.must(err)
			s.trustOneCA(before.Certificate.TrustedCAs[0])
			return
		default:
			work()
		}
	}
}

// trustOneCA wants all nodes to trust one CA, the same and not old.
func (s *suite) trustOneCA(old string) {
	s.Helper()
	all := map[string]bool{}
	for _, n := range s.Nodes {
		status, err := s.admin(n).Status(s.ctx)
		s.must(err)
		if r := status.CARotation; r == nil || len(r.WaitingFor) > 0 {
			s.Errorf("%s: the rotation is at %+v", n.ID, r)
		}
		for _, ca := range status.Certificate.TrustedCAs {
			all[ca] = true
		}
	}
	if len(all) != 1 || all[old] {
		s.Errorf("the nodes trust %v; it was %s", all, old)
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
