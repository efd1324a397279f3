package e2e

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"pipesync/client"
)

var fence = regexp.MustCompile("(?ms)^```(\\w+)\n(.*?)^```$")

// What a reader pastes from the README works as it stands, with the key and
// address that the quickstart prints.
func TestReadmeExamples(t *testing.T) {
	s := shared(t)
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	run := map[string]func(code string) *exec.Cmd{
		"sh": func(code string) *exec.Cmd { return exec.CommandContext(s.ctx, "bash", "-c", "set -eu\n"+code) },
		"python": func(code string) *exec.Cmd {
			return exec.CommandContext(s.ctx, python(t), "-c", code)
		},
		"javascript": func(code string) *exec.Cmd {
			return exec.CommandContext(s.ctx, needs(t, "node", "--version"), "--input-type=module", "-e", code)
		},
	}
	needs(t, "curl", "--version")
	tn := s.tenant(s.Nodes[0])
	adapt := strings.NewReplacer("org_abc123", tn.org, "vs_demo", tn.store)
	pasted := 0
	for _, block := range fence.FindAllStringSubmatch(string(text), -1) {
		language, code := block[1], block[2]
		if run[language] == nil || !strings.Contains(code, "PIPESYNC_API_KEY") || strings.Contains(code, "export ") {
			continue
		}
		cmd := run[language](adapt.Replace(code))
		cmd.Env = append(os.Environ(), "PIPESYNC_URL="+s.follower().HTTP, "PIPESYNC_API_KEY="+tn.key)
		out, err := cmd.CombinedOutput()
		if err != nil || strings.Contains(string(out), `"error"`) {
			t.Errorf("%s block: %v\n%s\n%s", language, err, code, out)
		}
		pasted++
	}
	if pasted != 4 {
		t.Errorf("%d blocks were run, the README has 4: three that push and one that reads", pasted)
	}
	for _, id := range []string{"task/1", "task/2", "task/3"} {
		if _, err := s.as(tn, s.Nodes[1]).Record(s.ctx, tn.store, "clickup_tasks", id, client.ReadOptions{}); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
}
