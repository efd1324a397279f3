package operations

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pipesync/client"
	"pipesync/internal/netns"
	"pipesync/internal/testcluster"
)

// begin makes the machines, and has them taken away in the end.
func begin(t *testing.T, lab *netns.Lab, dir string) *walk {
	ctx, cancel := context.WithTimeout(t.Context(), maxWalk)
	t.Cleanup(cancel)
	w := &walk{T: t, ctx: ctx, lab: lab}
	var err error
	w.machines, err = makeMachines(dir, lab, os.Getenv(packageEnv))
	w.must(err)
	for _, m := range w.machines {
		listener, err := m.unit.listenForOrders()
		w.must(err)
		go m.unit.serve(listener)
		t.Cleanup(func() { _ = listener.Close() })
	}
	w.watchLogs()
	t.Cleanup(func() {
		for _, m := range w.sorted() {
			if err := m.unit.kill(); err != nil {
				t.Error(err)
			}
		}
	})
	return w
}

func (w *walk) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *walk) sorted() []*machine {
	var all []*machine
	for _, m := range w.machines {
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b *machine) int { return strings.Compare(a.name, b.name) })
	return all
}

// await polls check until it returns nil.
func (w *walk) await(what string, check func(context.Context) error) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, maxWait)
	defer cancel()
	w.must(testcluster.Await(ctx, what, check))
}

// missed is how long the leader hasn't heard from a machine that it misses.
const missed = 3 * time.Second

// whoIsHere is what the document has the first machine's shells say.
const whoIsHere = "ME=n1 HERE=$N1\n"

// documented are the addresses that the document has.
var documented = regexp.MustCompile(`192\.0\.2\.(\d+)`)

// run types the commands of a block, on one machine after the other. What no machine is
// named for goes before all that come later: there stand the addresses, which may be
// others here, and who the machine is.
func (w *walk) run(b block) {
	w.Helper()
	if b.machines == nil {
		w.everyShell += b.code
		return
	}
	everyShell := w.everyShell
	if w.lab.IPv6 {
		everyShell = documented.ReplaceAllString(everyShell, "[2001:db8::$1]")
	}
	for _, name := range b.machines {
		m := w.machines[name]
		if m == nil || !strings.Contains(everyShell, whoIsHere) {
			w.Fatalf("%s:%d: there is no machine %s, or no shell is told %q", documentFile, b.line, name, whoIsHere)
		}
		here := strings.Replace(everyShell, whoIsHere, fmt.Sprintf("ME=%s HERE=$%s\n", name, strings.ToUpper(name)), 1)
		began := time.Now()
		out, err := m.typed(w.ctx, here, b.code)
		w.Logf("line %d on %s: %v", b.line, name, time.Since(began).Round(time.Millisecond))
		if err != nil {
			w.Fatalf("%s:%d, on %s: %v\n%s\n%s", documentFile, b.line, name, err, b.code, out)
		}
	}
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

// admin speaks to a machine's node, with that node's own token.
func (w *walk) admin(name string) *client.Client {
	w.Helper()
	m := w.machines[name]
	token, err := os.ReadFile(m.path("/var/lib/pipesync/admin-token"))
	w.must(err)
	return client.New(client.Options{Addrs: []string{m.http()}, AdminToken: strings.TrimSpace(string(token)), HTTPClient: w.http})
}

// members waits until a node sees these members alone, all of them alive and voters.
func (w *walk) members(at string, want ...string) {
	w.Helper()
	w.await(fmt.Sprintf("the members %v", want), func(ctx context.Context) error {
		all, err := w.admin(at).Members(ctx)
		if err != nil {
			return err
		}
		var got []string
		for _, m := range all.Members {
			if m.Voter && m.Alive {
				got = append(got, m.ID)
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, want) || len(all.Members) != len(want) {
			return fmt.Errorf("%s sees %+v", at, all.Members)
		}
		return nil
	})
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

// apiKey is the one that the document has made last; empty where there is none.
func (w *walk) apiKey() string {
	text, _ := os.ReadFile(w.machines["n1"].path("/root/api.key"))
	return strings.TrimSpace(string(text))
}

// peerCertificate is when the one ends that a node shows to others.
func (w *walk) peerCertificate(of string) string {
	w.Helper()
	return w.status(of).Certificate.NotAfter.String()
}

// trustedCAs are those by which a node knows others.
func (w *walk) trustedCAs(of string) string {
	w.Helper()
	return strings.Join(w.status(of).Certificate.TrustedCAs, " ")
}

func (w *walk) status(of string) client.Status {
	w.Helper()
	status, err := w.admin(of).Status(w.ctx)
	w.must(err)
	return status
}

// httpCertificate is the number of the one that a node shows to clients.
func (w *walk) httpCertificate(of string) string {
	w.Helper()
	dialer := tls.Dialer{Config: w.http.Transport.(*http.Transport).TLSClientConfig}
	conn, err := dialer.DialContext(w.ctx, "tcp", strings.TrimPrefix(w.machines[of].http(), "https://"))
	w.must(err)
	defer func() { _ = conn.Close() }()
	return conn.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.String()
}

// changes waits until what a step is about isn't what it was.
func (w *walk) changes(what string, now func() string) {
	w.Helper()
	w.await(what+" to change", func(context.Context) error {
		if now() == w.was {
			return errors.New("it is what it was")
		}
		return nil
	})
}

// gossipKeys are the fingerprints of all that a node knows of.
func (w *walk) gossipKeys(of string) string {
	w.Helper()
	ring, err := w.admin(of).GossipKeys(w.ctx)
	w.must(err)
	var all []string
	for _, key := range ring.Keys {
		all = append(all, key.Fingerprint)
	}
	return strings.Join(all, " ")
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

// equal waits until two nodes have applied the same.
func (w *walk) equal(a, b string) {
	w.Helper()
	w.await(a+" and "+b+" to have the same", func(ctx context.Context) error {
		first, err := w.admin(a).Status(ctx)
		if err != nil {
			return err
		}
		second, err := w.admin(b).Status(ctx)
		if err == nil && (first.LastLogIndex != second.LastLogIndex || first.AppliedIndex != second.AppliedIndex) {
			err = fmt.Errorf("%d and %d", first.AppliedIndex, second.AppliedIndex)
		}
		return err
	})
}

// contents is what a node says that there is: organizations with their digests, keys,
// stores, limits, settings.
func (w *walk) contents(at string) string {
	w.Helper()
	c := w.admin(at)
	var text strings.Builder
	show := func(what any, err error) {
		w.Helper()
		w.must(err)
		w.must(json.NewEncoder(&text).Encode(what))
	}
	orgs, err := c.Organizations(w.ctx, client.ListOptions{})
	show(orgs, err)
	stores, err := c.Stores(w.ctx, client.ListOptions{})
	show(stores, err)
	keys, err := c.Keys(w.ctx, client.ListOptions{})
	show(keys, err)
	settings, err := c.Settings(w.ctx)
	show(settings, err)
	for _, p := range w.traffic.senders {
		limits, err := c.Limits(w.ctx, p.org)
		show(limits, err)
		orders, err := w.traffic.at(w.machines[at].http(), p.key()).Namespace(w.ctx, p.store, namespace, client.ReadOptions{})
		show(orders, err)
	}
	return text.String()
}

// healthy wants no node to have ended by itself, but those that left.
func (w *walk) healthy() {
	w.Helper()
	for _, m := range w.sorted() {
		if err := m.unit.fault(); err != nil {
			w.Errorf("the node of %s has ended: %v", m.name, err)
		}
	}
}

// end reads everything back, at every node.
func (w *walk) end() {
	w.Helper()
	w.endTraffic()
	w.Log(w.traffic.summary())
	var first string
	for _, m := range w.sorted() {
		if !m.unit.isEnabled() {
			continue
		}
		if err := w.traffic.readBack(w.ctx, m.http()); err != nil {
			w.Error(err)
		}
		if got := w.contents(m.name); first == "" {
			first = got
		} else if got != first {
			w.Errorf("%s has\n%s\nanother node has\n%s", m.name, got, first)
		}
	}
}

// watchLogs has a test fail where a node has crashed, and tells what nodes have logged
// if it fails.
func (w *walk) watchLogs() {
	nodes := &testcluster.Cluster{}
	for _, m := range w.sorted() {
		nodes.Nodes = append(nodes.Nodes, &testcluster.Node{ID: m.name, Log: m.path(logFile)})
	}
	w.Cleanup(func() {
		if err := nodes.Alarms(); err != nil {
			w.Errorf("a node crashed or raced: %v", err)
		}
		if w.Failed() {
			for _, m := range w.sorted() {
				w.Logf("the last that the node of %s has logged, but for requests:\n%s", m.name, m.lastWords())
			}
		}
	})
}
