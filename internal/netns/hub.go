package netns

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"pipesync/internal/testcluster"
)

const (
	// requireEnv has tests fail that can't have hosts or disks of their own, instead of
	// being skipped.
	requireEnv = "PIPESYNC_REQUIRE_NETNS"
	// labEnv tells a test that it runs in the hub of a lab, and of which.
	labEnv = "PIPESYNC_TEST_LAB"
)

// InHub runs body in the hub of a lab of so many hosts: in another process, which is
// this program with t alone, and env besides its own environment. That process also has
// its mounts to itself. Where there can be no lab the test is skipped, or fails if
// PIPESYNC_REQUIRE_NETNS is set.
func InHub(t *testing.T, hosts int, ipv6 bool, env []string, body func(t *testing.T, lab *Lab)) {
	t.Helper()
	if text := os.Getenv(labEnv); text != "" {
		lab := &Lab{}
		if err := json.Unmarshal([]byte(text), lab); err != nil {
			t.Fatal(err)
		}
		body(t, lab)
		return
	}
	if err := Available(); err != nil {
		Unavailable(t, err)
	}
	lab, err := Make(hosts, ipv6)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := lab.Remove(); err != nil {
			t.Error(err)
		}
	}()
	text, err := json.Marshal(lab)
	if err != nil {
		t.Fatal(err)
	}
	Elsewhere(t, In(lab.Hub), append(env, labEnv+"="+string(text))...)
}

// Unavailable skips a test that this machine can't run, or fails it where it must run:
// if PIPESYNC_REQUIRE_NETNS is set.
func Unavailable(t *testing.T, why error) {
	t.Helper()
	if os.Getenv(requireEnv) != "" {
		t.Fatal(why)
	}
	t.Skipf("NOT RUN: %v", why)
}

// Elsewhere runs t alone again, in a process that is started by the command in, with
// more variables of the environment. It ends with this one, however that ends.
func Elsewhere(t *testing.T, in []string, env ...string) {
	t.Helper()
	only := "^" + strings.ReplaceAll(t.Name(), "/", "$/^") + "$"
	args := append(slices.Clone(in), os.Args[0], "-test.run", only, "-test.v")
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), env...)
	var out, untold bytes.Buffer
	if testing.Verbose() {
		cmd.Stdout = io.MultiWriter(&out, os.Stdout)
	} else {
		cmd.Stdout = io.MultiWriter(&out, &untold)
	}
	cmd.Stderr = cmd.Stdout
	p, err := testcluster.StartProcess(cmd)
	if err != nil {
		t.Fatal(err)
	}
	<-p.Exited()
	if strings.Contains(out.String(), "--- SKIP: "+t.Name()) {
		t.Skipf("%s", &untold)
	}
	if err := p.Err(); err != nil || !strings.Contains(out.String(), "--- PASS: "+t.Name()) {
		t.Fatalf("%s %s: %v\n%s", in, only, err, &untold)
	}
	if untold.Len() > 0 {
		t.Logf("%s", &untold)
	}
}
