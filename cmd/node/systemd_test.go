package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

const (
	systemdUnit = "../../deploy/systemd/pipesync.service"
	// maxExposure is ten times what systemd calls the exposure level, from 0 to 100.
	maxExposure = "15"
)

// unitSettings are those of the unit's section Service that are there once.
func unitSettings(t *testing.T) map[string]string {
	t.Helper()
	settings := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^(\w+)=(.*)$`).FindAllStringSubmatch(string(mustRead(t, systemdUnit)), -1) {
		settings[m[1]] = m[2]
	}
	return settings
}

// The unit starts this program, as it understands its flags.
func TestSystemdUnitStartsANode(t *testing.T) {
	unit := unitSettings(t)
	words := strings.Fields(unit["ExecStart"])
	if len(words) < 2 || words[0] != "/usr/bin/pipesync" || words[1] != "serve" {
		t.Fatalf("ExecStart is %q", unit["ExecStart"])
	}
	cmd := newServeCommand(&app{})
	if err := cmd.ParseFlags(words[2:]); err != nil {
		t.Fatal(err)
	}
	if dir := cmd.Flag("data-dir").Value.String(); dir != "/var/lib/"+unit["StateDirectory"] {
		t.Errorf("the node keeps its data in %s, the unit's state is in %s", dir, unit["StateDirectory"])
	}
	if unit["ExecReload"] != "/bin/kill -HUP $MAINPID" {
		t.Errorf("a reload runs %q", unit["ExecReload"])
	}
	if unit["Type"] != "notify" || unit["RestartPreventExitStatus"] != "1" || exitLocal != 1 {
		t.Errorf("the unit is %v", unit)
	}
	if stop, err := time.ParseDuration(unit["TimeoutStopSec"] + "s"); err != nil || stop <= maxStop {
		t.Errorf("the unit gives a stop %s s, it takes up to %s", unit["TimeoutStopSec"], maxStop)
	}
}

func TestSystemdUnitIsCorrectAndHard(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze isn't here: the unit is not checked (Debian: apt-get install systemd)")
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// The one that it names has to be there.
	unit := bytes.Replace(mustRead(t, systemdUnit), []byte("ExecStart=/usr/bin/pipesync"), []byte("ExecStart="+program), 1)
	path := filepath.Join(t.TempDir(), "pipesync.service")
	if err := os.WriteFile(path, unit, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"verify", path}, {"security", "--no-pager", "--offline=true", "--threshold=" + maxExposure, path}} {
		out, err := exec.CommandContext(t.Context(), analyze, args...).CombinedOutput()
		if err != nil || args[0] == "verify" && len(out) > 0 {
			t.Errorf("systemd-analyze %s: %v\n%s", args[0], err, out)
		}
	}
}
