package release

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// vulnerabilities are those of a database in which everybody who runs a Raft node has one.
// The files are as https://go.dev/doc/security/vuln/database has them.
var vulnerabilities = map[string]string{
	"index/db.json":      `{"modified":"2006-01-02T15:04:05Z"}`,
	"index/modules.json": `[{"path":"github.com/hashicorp/raft","vulns":[{"id":"GO-2006-0001","modified":"2006-01-02T15:04:05Z"}]}]`,
	"ID/GO-2006-0001.json": `{"schema_version":"1.3.1","id":"GO-2006-0001","modified":"2006-01-02T15:04:05Z","published":"2006-01-02T15:04:05Z",
		"summary":"made up","affected":[{"package":{"name":"github.com/hashicorp/raft","ecosystem":"Go"},
		"ranges":[{"type":"SEMVER","events":[{"introduced":"0"}]}],
		"ecosystem_specific":{"imports":[{"path":"github.com/hashicorp/raft","symbols":["NewRaft"]}]}}],
		"database_specific":{"url":"https://pkg.go.dev/vuln/GO-2006-0001"}}`,
}

func TestAudit(t *testing.T) {
	if os.Getenv(runEnv) == "" {
		t.Skip("takes a while: runs where " + runEnv + " is set, as in scripts/test")
	}
	db := t.TempDir()
	for name, text := range vulnerabilities {
		path := filepath.Join(db, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name, env string
		args      []string
		code      int
		says      string
	}{
		{"a vulnerability that the program has", "", []string{"-db", "file://" + db}, 3, "GO-2006-0001"},
		{"a database that can't be reached", "HTTPS_PROXY=http://127.0.0.1:1", nil, 0, "audit: NOT RUN"},
		{"no database", "", []string{"-db", "file://" + filepath.Join(db, "ID", "none")}, 1, "no such file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), "../../scripts/audit", c.args...)
			cmd.Env = append(os.Environ(), c.env)
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			if err != nil && !errors.As(err, &exit) {
				t.Fatal(err)
			}
			if code := cmd.ProcessState.ExitCode(); code != c.code || !strings.Contains(string(out), c.says) {
				t.Errorf("it exits with %d, want %d, and says %s", code, c.code, out)
			}
		})
	}
}
