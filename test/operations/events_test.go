package operations

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"pipesync/client"
	"pipesync/internal/netns"
)

// missed is how long the leader hasn't heard from a machine that it misses.
const missed = 3 * time.Second

// quiet has the pipelines wait, with nothing under way, until loud is called.
func (w *walk) quiet() {
	w.traffic.pause.Lock()
	w.isQuiet = true
}

func (w *walk) loud() {
	w.isQuiet = false
	w.traffic.pause.Unlock()
}

// flowing waits until every pipeline has been acknowledged some more, if they sync at
// all.
func (w *walk) flowing() {
	w.Helper()
	if w.traffic == nil || w.isQuiet {
		return
	}
	ctx, cancel := context.WithTimeout(w.ctx, maxWait)
	defer cancel()
	w.must(w.traffic.flowing(ctx))
}

// lose takes a machine away, for ever, and without a word.
func (w *walk) lose(name string) {
	w.Helper()
	w.must(w.machines[name].unit.kill())
	w.must(w.lab.Destroy(w.index(name)))
	w.must(os.RemoveAll(w.machines[name].path("/var/lib/pipesync")))
	w.await("a leader that misses "+name, func(ctx context.Context) error {
		status, err := w.admin("n1").Status(ctx)
		if err != nil {
			return err
		}
		for _, m := range status.Members {
			if m.ID == name && !m.Leader && (m.LastContactMS == nil || *m.LastContactMS > missed.Milliseconds()) && status.Leader != nil {
				return nil
			}
		}
		return errors.New("there is none")
	})
}

// wipe takes what nodes keep away from machines, which clients know no more.
func (w *walk) wipe(names ...string) {
	w.Helper()
	for _, name := range names {
		w.machines[name].unit.enable(false)
		w.must(w.machines[name].unit.kill())
		w.must(os.RemoveAll(w.machines[name].path("/var/lib/pipesync")))
	}
}

// move gives a machine its new address.
func (w *walk) move(name string) {
	w.Helper()
	m := w.machines[name]
	i := w.index(name)
	w.must(w.lab.Readdress(i, 10+i+1))
	m.setIP(w.lab.Hosts[i].IP)
}

func (w *walk) index(name string) int {
	return slices.IndexFunc(w.lab.Hosts, func(h netns.Host) bool { return h.Namespace == w.machines[name].host.Namespace })
}

// beginTraffic has pipelines sync until the walk ends: one with the key that the
// document makes, the others with organizations of their own.
func (w *walk) beginTraffic() {
	w.Helper()
	tr := &traffic{t: w.T, http: w.http, cured: map[string]int{}, nodes: func() []string {
		var addrs []string
		for _, m := range w.machines {
			if m.unit.isEnabled() {
				addrs = append(addrs, m.http())
			}
		}
		return addrs
	}}
	tr.senders = append(tr.senders, &pipeline{org: "org_abc123", store: "vs_demo", promised: map[string]promise{}, key: w.apiKey})
	for i := 1; i < pipelines; i++ {
		p := &pipeline{org: fmt.Sprintf("org_walk%d", i), store: fmt.Sprintf("vs_walk%d", i), promised: map[string]promise{}}
		key, err := w.admin("n1").CreateKey(w.ctx, client.KeyRequest{OrganizationID: p.org, VectorStoreID: p.store})
		w.must(err)
		_, err = w.admin("n1").SetLimits(w.ctx, p.org, client.Figures{"requests_per_window": 10_000 - uint64(i)})
		w.must(err)
		p.key = func() string { return key.Key }
		tr.senders = append(tr.senders, p)
	}
	ctx, stop := context.WithCancel(w.ctx)
	var running sync.WaitGroup
	running.Go(func() { tr.run(ctx) })
	w.traffic, w.endTraffic = tr, func() {
		stop()
		if w.isQuiet {
			w.loud()
		}
		running.Wait()
	}
	w.Cleanup(w.endTraffic)
}

// knowServers has clients know nodes by the CA that the document makes.
func (w *walk) knowServers() {
	w.Helper()
	ca, err := os.ReadFile(w.machines["n1"].path("/etc/pipesync/server-ca.pem"))
	w.must(err)
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		w.Fatal("there is no certificate in server-ca.pem")
	}
	w.http = &http.Client{Transport: &http.Transport{
		MaxIdleConnsPerHost: pipelines, DialContext: (&net.Dialer{Timeout: maxDial}).DialContext,
		TLSClientConfig: &tls.Config{RootCAs: pool},
	}}
}
