package operations

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"

	"pipesync/client"
)

// adminToken is the one that commands on a machine find.
func (w *walk) adminToken(of string) string {
	w.Helper()
	token, err := os.ReadFile(w.machines[of].path("/var/lib/pipesync/admin-token"))
	w.must(err)
	return strings.TrimSpace(string(token))
}

// admin speaks to a machine's node, as commands there do.
func (w *walk) admin(name string) *client.Client {
	w.Helper()
	return client.New(client.Options{Addrs: []string{w.machines[name].http()}, AdminToken: w.adminToken(name), HTTPClient: w.http})
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

// apiKey is the one that the document has made last; empty where there is none.
func (w *walk) apiKey() string {
	text, _ := os.ReadFile(w.machines["n1"].path(home + "/api.key"))
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
