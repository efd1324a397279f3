package operations

import (
	"context"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"pipesync/client"
	"pipesync/internal/netns"
)

const (
	documentFile = "../../docs/operations.md"
	// packageEnv names the Debian package that is installed.
	packageEnv = "PIPESYNC_DEB"
	// dirEnv is where the machines' roots are.
	dirEnv = "PIPESYNC_TEST_ROOTS"
	// maxWait bounds what a walk waits for besides its commands.
	maxWait = time.Minute
	// maxWalk bounds all of it.
	maxWalk = 20 * time.Minute
)

// walk is one reading of the document.
type walk struct {
	*testing.T
	ctx        context.Context
	lab        *netns.Lab
	machines   map[string]*machine
	http       *http.Client
	everyShell string // what the document has typed into every shell
	traffic    *traffic
	was        string // what a step has to change, or to keep
	isQuiet    bool   // no pipeline syncs
	endTraffic func()
}

// step is what happens before the blocks of a section, each its own, and what holds
// after all of them.
type step struct {
	heading string
	before  []func(*walk) // may be shorter than the blocks, and have nil for nothing
	check   func(*walk)   // nil: nothing
}

// steps are the sections, in the document's order.
var steps = []step{
	{heading: "Names used here"},
	{heading: "Installing", check: (*walk).knowServers},
	{heading: "The first machine", check: func(w *walk) {
		w.members("n1", "n1")
		w.beginTraffic()
	}},
	{heading: "From one machine to three", check: func(w *walk) { w.members("n3", "n1", "n2", "n3") }},
	{heading: "From three to five", check: func(w *walk) { w.members("n5", "n1", "n2", "n3", "n4", "n5") }},
	{heading: "From five to three", check: func(w *walk) { w.members("n2", "n1", "n2", "n3") }},
	{heading: "Replacing a machine that is lost", before: []func(*walk){
		func(w *walk) { w.lose("n3") },
		func(w *walk) { w.machines["n3"].unit.enable(false) },
	}, check: func(w *walk) { w.members("n6", "n1", "n2", "n6") }},
	{heading: "Reseeding a node", check: func(w *walk) { w.members("n2", "n1", "n2", "n6") }},
	{heading: "Restarting and upgrading", check: func(w *walk) { w.members("n1", "n1", "n2", "n6") }},
	{heading: "Renewing a certificate", before: []func(*walk){
		func(w *walk) { w.was = w.peerCertificate("n2") },
		func(w *walk) {
			w.changes("the certificate of n2 for others", func() string { return w.peerCertificate("n2") })
			w.was = w.httpCertificate("n2")
		},
	}, check: func(w *walk) {
		w.changes("the certificate of n2 for clients", func() string { return w.httpCertificate("n2") })
	}},
	{heading: "Replacing the CA", before: []func(*walk){func(w *walk) { w.was = w.trustedCAs("n6") }}, check: func(w *walk) {
		if now := w.trustedCAs("n6"); now == w.was || strings.Contains(now, " ") {
			w.Errorf("n6 trusted %s, and trusts %s", w.was, now)
		}
	}},
	{heading: "Rotating the gossip key", before: []func(*walk){func(w *walk) { w.was = w.gossipKeys("n6") }}, check: func(w *walk) {
		if now := w.gossipKeys("n6"); now == w.was || strings.Contains(now, " ") {
			w.Errorf("the gossip keys were %s, and are %s", w.was, now)
		}
	}},
	{heading: "Replacing the admin token", before: []func(*walk){func(w *walk) { w.was = w.adminToken("n2") }}, check: func(w *walk) {
		if now := w.adminToken("n2"); now == w.was || now != w.adminToken("n6") {
			w.Error("n2 has its old token, or another than n6")
		}
		for _, name := range []string{"n1", "n2", "n6"} { // each once it has applied the entry
			w.await(name+" to take the new token", func(ctx context.Context) error {
				_, err := w.admin(name).Status(ctx)
				return err
			})
		}
	}},
	{heading: "Changing an API key", before: []func(*walk){func(w *walk) { w.was = w.apiKey() }}, check: func(w *walk) {
		if w.apiKey() == w.was {
			w.Error("the key is the old one")
		}
		_, err := w.traffic.at(w.machines["n1"].http(), w.was).Namespaces(w.ctx, "vs_demo", client.ReadOptions{})
		w.must(err) // the old one works still
	}},
	{heading: "Backing up", before: []func(*walk){func(w *walk) {
		w.quiet()
		w.was = w.contents("n1")
	}}},
	{heading: "Restoring", before: []func(*walk){func(w *walk) { w.wipe("n1", "n2", "n6") }}, check: func(w *walk) {
		w.members("n6", "n1", "n2", "n4", "n5", "n6")
		if after := w.contents("n6"); after != w.was {
			w.Errorf("before the backup there was\n%s\nafter it was restored\n%s", w.was, after)
		}
		w.loud()
	}},
	{heading: "Recovering from the loss of a quorum", before: []func(*walk){func(w *walk) {
		w.quiet()
		w.equal("n4", "n5")
		w.wipe("n1", "n2", "n6")
	}}, check: func(w *walk) {
		w.members("n6", "n4", "n5", "n6")
		w.loud()
	}},
	{heading: "Changing an address", before: []func(*walk){nil, func(w *walk) { w.move("n6") }}, check: func(w *walk) { w.members("n5", "n4", "n5", "n6") }},
}

func TestWalk(t *testing.T) {
	t.Run("IPv4", func(t *testing.T) { onMachines(t, false) })
	t.Run("IPv6", func(t *testing.T) { onMachines(t, true) })
}

// onMachines walks the document in the hub of a lab. The directory is removed out here,
// where nobody sees what is mounted in it.
func onMachines(t *testing.T, ipv6 bool) {
	if os.Getenv(packageEnv) == "" {
		t.Skip("NOT RUN: " + packageEnv + " names no package: make one with scripts/package")
	}
	dir := os.Getenv(dirEnv)
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "walk"); err != nil { // the path of a socket is short
			t.Fatal(err)
		}
		defer func() { _ = os.RemoveAll(dir) }()
	}
	netns.InHub(t, 6, ipv6, []string{dirEnv + "=" + dir}, func(t *testing.T, lab *netns.Lab) {
		walkDocument(t, lab, dir)
	})
}

func walkDocument(t *testing.T, lab *netns.Lab, dir string) {
	text, err := os.ReadFile(documentFile)
	if err != nil {
		t.Fatal(err)
	}
	sections, err := readDocument(string(text))
	if err != nil {
		t.Fatalf("%s: %v", documentFile, err)
	}
	if len(sections) != len(steps) {
		t.Fatalf("the document has %d sections with commands, %d are known", len(sections), len(steps))
	}
	w := begin(t, lab, dir)
	for i, s := range steps {
		if sections[i].heading != s.heading {
			t.Fatalf("section %d is %q, expected %q", i+1, sections[i].heading, s.heading)
		}
		began := time.Now()
		for n, b := range sections[i].blocks {
			if n < len(s.before) && s.before[n] != nil {
				s.before[n](w)
			}
			w.run(b)
		}
		if s.check != nil {
			s.check(w)
		}
		w.flowing()
		w.healthy()
		t.Logf("%s: %v", s.heading, time.Since(began).Round(time.Millisecond))
	}
	w.end()
}
