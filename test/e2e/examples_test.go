package e2e

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"pipesync/client"
)

// A tool that is missing fails the test where CI is set, which installs them
// all, and skips it elsewhere.
func needs(t *testing.T, name string, args ...string) string {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		if errors.Is(err, exec.ErrNotFound) && os.Getenv("CI") == "" {
			t.Skipf("%s is not installed", name)
		}
		t.Fatalf("%s %v: %v: %s", name, args, err, out)
	}
	return name
}

// python is one that has the package requests: the first on the path may be
// another than the one that the system's packages are for.
func python(t *testing.T) string {
	t.Helper()
	const check = "import requests"
	for _, name := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(name, "-c", check).Run() == nil {
			return name
		}
	}
	return needs(t, "python3", "-c", check)
}

func TestExamples(t *testing.T) {
	s := shared(t)
	for _, c := range []struct {
		file string
		argv func(t *testing.T) []string
	}{
		{"curl.sh", func(t *testing.T) []string {
			needs(t, "curl", "--version")
			return []string{"bash", "curl.sh"}
		}},
		{"sync.py", func(t *testing.T) []string { return []string{python(t), "sync.py"} }},
		{"sync.mjs", func(t *testing.T) []string { return []string{needs(t, "node", "--version"), "sync.mjs"} }},
	} {
		t.Run(c.file, func(t *testing.T) {
			argv := c.argv(t)
			tn := s.tenant(s.Nodes[0])
			cmd := exec.CommandContext(s.ctx, argv[0], argv[1:]...)
			cmd.Dir = "../../examples"
			cmd.Env = append(os.Environ(), "PIPESYNC_URL="+s.follower().HTTP, "PIPESYNC_API_KEY="+tn.key,
				"PIPESYNC_ORGANIZATION_ID="+tn.org, "PIPESYNC_VECTOR_STORE_ID="+tn.store, "PYTHONDONTWRITEBYTECODE=1")
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			if !strings.Contains(string(out), "Write the docs") || !strings.Contains(string(out), "sync_") {
				t.Errorf("it printed %s", out)
			}
			record, err := s.as(tn, s.Nodes[1]).Record(s.ctx, tn.store, "clickup_tasks", "task/2", client.ReadOptions{})
			if err != nil || record.SourceSystem == nil || *record.SourceSystem != "clickup" {
				t.Errorf("it pushed %+v, %v", record, err)
			}
		})
	}
}
