package testcluster

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAlarms(t *testing.T) {
	dir := t.TempDir()
	c := &Cluster{Nodes: []*Node{{ID: "quiet", Log: filepath.Join(dir, "quiet")}, {ID: "never", Log: filepath.Join(dir, "never")}}}
	if err := os.WriteFile(c.Nodes[0].Log, []byte("level=WARN msg=election\nall well\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := c.Alarms(); err != nil {
		t.Errorf("a quiet log: %v", err)
	}
	loud := &Node{ID: "loud", Log: filepath.Join(dir, "loud")}
	if err := os.WriteFile(loud.Log, []byte("fine\nWARNING: DATA RACE\nat here\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.Nodes = append(c.Nodes, loud)
	if err := c.Alarms(); err == nil || !strings.Contains(err.Error(), "at here") || strings.Contains(err.Error(), "fine") {
		t.Errorf("a log with a race: %v", err)
	}
}
