package layout

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "pipesync"

// arrows lists, for each package of the module, the project packages that it
// may import. A pattern ending in /... stands for a folder of programs and tests.
// A package that no entry covers is a violation: a new one has to say where it
// stands.
var arrows = map[string][]string{
	"storage":         {"internal/planted"},
	"cluster":         {"cluster/certs", "internal/planted", "internal/durable"},
	"cluster/certs":   {"internal/durable"},
	"client":          {},
	"fsm":             {"storage", "internal/planted"},
	"fsm/contenthash": {"storage"},
	"fsm/backup":      {"fsm"},
	"fsm/admission":   {"fsm", "storage", "internal/planted"},
	"fsm/audit":       {"fsm", "storage", "internal/durable"},
	"fsm/upkeep":      {"fsm", "storage"},
	"api":             {"api/auditlog", "api/syncjson", "fsm", "fsm/audit", "fsm/backup", "fsm/contenthash", "cluster", "cluster/certs", "internal/planted"},
	"api/auditlog":    {},
	"api/syncjson":    {"fsm", "fsm/contenthash"},
	"cmd/node": {
		"api", "api/auditlog", "cluster", "cluster/certs", "fsm", "fsm/admission", "fsm/audit", "fsm/backup", "fsm/upkeep", "storage", "client", "internal/durable",
	},

	"internal/layout":        {},
	"internal/planted":       {},
	"internal/planted/hunt":  {"internal/planted"},
	"internal/crashfs":       {},
	"internal/durable":       {},
	"internal/seeds":         {},
	"internal/simcluster":    {},
	"internal/netns":         {"internal/testcluster"},
	"internal/testcluster":   {"client"},
	"internal/quickstart":    {"client", "internal/testcluster"},
	"internal/bench":         {"client", "internal/bench/load", "internal/bench/plot", "internal/testcluster"},
	"internal/bench/ceiling": {"cluster", "internal/bench/load", "storage"},
	"internal/bench/load":    {},
	"internal/bench/plot":    {},
	"internal/placement":     {},
	"test/...":               {"client", "internal/netns", "internal/seeds", "internal/testcluster"},
	"test/e2e":               {"client", "internal/netns", "internal/seeds", "internal/testcluster", "test/jepsen/vdso"},
	"test/jepsen":            {"client", "fsm", "internal/netns", "internal/planted", "internal/seeds", "internal/testcluster", "test/jepsen/check", "test/jepsen/faultfs", "test/jepsen/history", "test/jepsen/rot", "test/jepsen/vdso"},
	"test/jepsen/check":      {"test/jepsen/history"},
	"test/jepsen/faultfs":    {},
	"test/jepsen/history":    {},
	"test/jepsen/rot":        {},
	"test/jepsen/vdso":       {},
}

// testArrows are what a package's own tests may import beyond its arrows.
var testArrows = map[string][]string{
	"api":                 {"client", "fsm/admission"},
	"cluster":             {"internal/testcluster"},
	"cmd/node":            {"internal/testcluster"},
	"client":              {},
	"test/jepsen/faultfs": {"internal/netns"},
	"test/jepsen/vdso":    {"internal/netns"},
	"fsm/admission":       {"fsm/contenthash"},
	"fsm":                 {"fsm/contenthash", "internal/crashfs", "internal/seeds"},
	"test/jepsen/rot":     {"storage"},
	"internal/simcluster": {
		"api", "cluster", "fsm", "fsm/admission", "fsm/audit", "fsm/contenthash", "fsm/upkeep", "storage", "internal/crashfs", "internal/seeds",
	},
}

// keepers says which packages alone may import a third-party module; everybody
// else reaches it through them.
var keepers = map[string][]string{
	"github.com/hashicorp/raft":           {"fsm", "cluster", "internal/bench/ceiling"},
	"github.com/hashicorp/raft-boltdb":    {"cluster", "internal/bench/ceiling"},
	"github.com/hashicorp/memberlist":     {"cluster"},
	"go.etcd.io/bbolt":                    {"cluster", "test/jepsen/rot"},
	"github.com/cockroachdb/pebble":       {"storage", "internal/crashfs", "internal/bench/ceiling", "test/jepsen/rot"},
	"github.com/julienschmidt/httprouter": {"api"},
	"github.com/spf13/cobra":              {"cmd/node"},
	"github.com/anishathalye/porcupine":   {"test/jepsen/check"},
	"github.com/hanwen/go-fuse":           {"test/jepsen/faultfs"},
}

// testOnly are modules that product code never imports.
var testOnly = []string{
	"github.com/getkin/kin-openapi", "github.com/google/go-cmp", "go.uber.org/goleak",
	"pgregory.net/rapid", "github.com/rogpeppe/go-internal", "github.com/cockroachdb/datadriven",
	"github.com/prometheus/client_model",
}

// testKeepers are packages whose tests apply entries to a real state machine, or store
// them in a real log.
var testKeepers = map[string][]string{
	"github.com/hashicorp/raft":        {"api", "fsm/admission", "fsm/audit", "fsm/upkeep", "internal/simcluster", "test/jepsen/rot"},
	"github.com/hashicorp/raft-boltdb": {"test/jepsen/rot"},
}

// checkImport returns why a file of package pkg may not import target, or "".
// Both are import paths; pkg is relative to the module.
func checkImport(pkg, target string, inTest bool) string {
	if rel, ours := strings.CutPrefix(target, module+"/"); ours {
		return checkArrow(pkg, rel, inTest)
	}
	if !strings.Contains(strings.SplitN(target, "/", 2)[0], ".") {
		return "" // standard library
	}
	if pkg == "client" && !inTest {
		return fmt.Sprintf("client imports %s: it is standard library only", target)
	}
	if !inTest && slices.ContainsFunc(testOnly, func(mod string) bool { return covers(mod, target) }) {
		return fmt.Sprintf("%s imports %s outside of tests", pkg, target)
	}
	for mod, may := range keepers {
		if inTest {
			may = slices.Concat(may, testKeepers[mod])
		}
		if covers(mod, target) && !slices.Contains(may, pkg) {
			return fmt.Sprintf("%s imports %s, which is for %s alone", pkg, target, strings.Join(may, " and "))
		}
	}
	return ""
}

// covers is true where target is the module mod, a package inside it, or
// either of one of its major versions.
func covers(mod, target string) bool {
	return target == mod || strings.HasPrefix(target, mod+"/")
}

func checkArrow(pkg, target string, inTest bool) string {
	allowed, known := allowedArrows(pkg)
	if !known {
		return fmt.Sprintf("%s has no place in internal/layout's table of arrows", pkg)
	}
	if target == pkg && inTest { // a black-box test of its own package
		return ""
	}
	if slices.Contains(allowed, target) || inTest && slices.Contains(testArrows[pkg], target) {
		return ""
	}
	return fmt.Sprintf("%s imports %s: forbidden arrow", pkg, target)
}

func allowedArrows(pkg string) ([]string, bool) {
	if allowed, ok := arrows[pkg]; ok {
		return allowed, true
	}
	for dir := path.Dir(pkg); dir != "."; dir = path.Dir(dir) {
		if allowed, ok := arrows[dir+"/..."]; ok {
			return allowed, true
		}
	}
	return nil, false
}

func TestArrows(t *testing.T) {
	seen := map[string]bool{}
	for _, file := range parseModule(t) {
		seen[file.pkg] = true
		if _, known := allowedArrows(file.pkg); !known {
			t.Errorf("%s: package %s has no place in the table of arrows", file.path, file.pkg)
		}
		for _, imp := range file.imports() {
			if why := checkImport(file.pkg, imp, file.isTest()); why != "" {
				t.Errorf("%s: %s", file.path, why)
			}
		}
	}
	for _, pkg := range []string{"api", "client", "cluster", "cmd/node", "fsm", "fsm/admission", "storage"} {
		if !seen[pkg] {
			t.Errorf("found no Go file of package %s: is the walk broken?", pkg)
		}
	}
}

func TestArrowsAreTold(t *testing.T) {
	const raft, pebble, router = "github.com/hashicorp/raft", "github.com/cockroachdb/pebble/v2", "github.com/julienschmidt/httprouter"
	for _, c := range []struct {
		pkg, target string
		inTest      bool
		refused     bool
	}{
		{pkg: "api", target: "pipesync/fsm"},
		{pkg: "api", target: "pipesync/cluster"},
		{pkg: "api", target: "pipesync/storage", refused: true},
		{pkg: "api", target: "pipesync/storage", inTest: true, refused: true},
		{pkg: "api", target: "pipesync/client", refused: true},
		{pkg: "api", target: "pipesync/fsm/admission", refused: true},
		{pkg: "api", target: "pipesync/cmd/node", refused: true},
		{pkg: "api", target: raft, refused: true},
		{pkg: "api", target: raft, inTest: true},
		{pkg: "client", target: raft, inTest: true, refused: true},
		{pkg: "api", target: pebble, refused: true},
		{pkg: "api", target: router},
		{pkg: "cluster", target: "pipesync/storage", refused: true},
		{pkg: "cluster", target: "pipesync/fsm", refused: true},
		{pkg: "cluster", target: "pipesync/fsm", inTest: true, refused: true},
		{pkg: "cluster", target: "pipesync/api", refused: true},
		{pkg: "cluster", target: raft},
		{pkg: "cluster", target: "github.com/hashicorp/raft-boltdb/v2"},
		{pkg: "cluster", target: pebble, refused: true},
		{pkg: "storage", target: "pipesync/fsm", refused: true},
		{pkg: "storage", target: "pipesync/cluster", refused: true},
		{pkg: "storage", target: pebble},
		{pkg: "storage", target: pebble + "/vfs"},
		{pkg: "storage", target: raft, refused: true},
		{pkg: "fsm", target: "pipesync/storage"},
		{pkg: "fsm", target: "pipesync/cluster", refused: true},
		{pkg: "fsm", target: "pipesync/api", refused: true},
		{pkg: "fsm", target: "pipesync/fsm/admission", refused: true},
		{pkg: "fsm", target: raft},
		{pkg: "fsm", target: "github.com/hashicorp/raft-boltdb/v2", refused: true},
		{pkg: "fsm", target: pebble, refused: true},
		{pkg: "fsm", target: pebble + "/vfs", inTest: true, refused: true},
		{pkg: "fsm", target: "pipesync/internal/crashfs", inTest: true},
		{pkg: "fsm", target: "pipesync/internal/crashfs", refused: true},
		{pkg: "internal/crashfs", target: pebble + "/vfs"},
		{pkg: "fsm/admission", target: "pipesync/fsm"},
		{pkg: "fsm/admission", target: "pipesync/cluster", refused: true},
		{pkg: "fsm/admission", target: raft, refused: true},
		{pkg: "client", target: "net/http"},
		{pkg: "client", target: "pipesync/api", refused: true},
		{pkg: "client", target: "github.com/klauspost/compress/zstd", refused: true},
		{pkg: "client", target: "golang.org/x/sys/unix", refused: true},
		{pkg: "cmd/node", target: "pipesync/api"},
		{pkg: "cmd/node", target: "pipesync/fsm/admission"},
		{pkg: "cmd/node", target: "pipesync/internal/testcluster", refused: true},
		{pkg: "cmd/node", target: raft, refused: true},
		{pkg: "cmd/node", target: pebble, refused: true},
		{pkg: "cmd/node", target: router, refused: true},
		{pkg: "test/e2e", target: "pipesync/client", inTest: true},
		{pkg: "test/e2e", target: "pipesync/fsm", inTest: true, refused: true},
		{pkg: "storage", target: "pgregory.net/rapid", inTest: true},
		{pkg: "storage", target: "pgregory.net/rapid", refused: true},
		{pkg: "api", target: "github.com/oklog/ulid/v2"},
		{pkg: "newcomer", target: "pipesync/storage", refused: true},
	} {
		why := checkImport(c.pkg, c.target, c.inTest)
		if (why != "") != c.refused {
			t.Errorf("%s → %s (test %v): %q, want refused %v", c.pkg, c.target, c.inTest, why, c.refused)
		}
	}
}
