package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
)

// grown is a curve as it is once it has been measured.
func grown(name string) *curve {
	c := &curve{Name: name, X: "records", Machine: machine{Day: "2026-01-02"}}
	g := &growing{lab: &lab{progress: io.Discard}, curve: c}
	for i, x := range []float64{10, 1000} {
		g.add("inserts", "ms", point{X: x, Value: float64(i + 1), P99: 9, Rate: 1234})
		g.add("reads", "ms", point{X: x, Value: 0.5, P99: 3, Rate: 77})
		g.add("memory", "MiB", point{X: x, Value: 100})
	}
	return c
}

func TestPointsOfALineStayTogether(t *testing.T) {
	c := grown("records")
	if len(c.Lines) != 3 {
		t.Fatalf("lines %+v", c.Lines)
	}
	for i, want := range []line{
		{"inserts", "ms", []point{{10, 1, 9, 1234}, {1000, 2, 9, 1234}}},
		{"reads", "ms", []point{{10, 0.5, 3, 77}, {1000, 0.5, 3, 77}}},
		{"memory", "MiB", []point{{10, 100, 0, 0}, {1000, 100, 0, 0}}},
	} {
		got := c.Lines[i]
		if got.Name != want.Name || got.Unit != want.Unit || len(got.Points) != 2 || got.Points[0] != want.Points[0] || got.Points[1] != want.Points[1] {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
	f := c.figure()
	if len(f.Panels) != 2 || f.Panels[0].Y != "ms" || len(f.Panels[0].Lines) != 2 || f.Panels[1].Y != "MiB" || len(f.Panels[1].Lines) != 1 {
		t.Errorf("panels %+v", f.Panels)
	}
	var printed bytes.Buffer
	if err := c.print(&printed); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"inserts", "2 ms", "1234", "100 MiB"} {
		if !strings.Contains(printed.String(), want) {
			t.Errorf("no %q in\n%s", want, printed.String())
		}
	}
}

// TestSavedCurvesLeaveTheRestAlone: what people have written beside them stays, and so do
// curves that weren't measured this time.
func TestSavedCurvesLeaveTheRestAlone(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, content := range map[string]string{"go.mod": "module other\n", "docs/growth.md": "why it bends", "docs/growth/values.svg": "as it was"} {
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := grown("records")
	if err := c.save(t.Context()); err != nil {
		t.Fatal(err)
	}
	var stored curve
	if err := json.Unmarshal([]byte(read(t, "docs/growth/records.json")), &stored); err != nil || len(stored.Lines) != 3 || stored.Machine != c.Machine {
		t.Errorf("%+v, %v", stored, err)
	}
	if svg := read(t, "docs/growth/records.svg"); svg != c.figure().SVG() {
		t.Errorf("the figure is %s", svg)
	}
	if page, other := read(t, "docs/growth.md"), read(t, "docs/growth/values.svg"); page != "why it bends" || other != "as it was" {
		t.Errorf("%q, %q", page, other)
	}
}

func TestDiskIsAllThatLiesThere(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a", "below/b"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), make([]byte, 1<<20), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if mib, err := diskMiB(dir); err != nil || mib != 2 {
		t.Errorf("%v MiB, %v", mib, err)
	}
	if _, err := diskMiB(filepath.Join(dir, "none")); err != nil {
		t.Error(err)
	}
}

func TestMemoryIsRead(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("Linux alone has /proc")
	}
	for _, which := range []string{memoryPeak, memoryOwn, memoryMapped} {
		if mib, err := memoryMiB(os.Getpid(), which); err != nil || mib <= 0 {
			t.Errorf("%s: %v MiB, %v", which, mib, err)
		}
	}
	if _, err := memoryMiB(os.Getpid(), "VmNone"); err == nil {
		t.Error("there is memory of a kind that isn't")
	}
	held := make([]byte, 64<<20)
	for i := range held {
		held[i] = 1
	}
	before, err := memoryMiB(os.Getpid(), memoryPeak)
	if err != nil || held[1] != 1 {
		t.Fatal(err)
	}
	held = nil
	debug.FreeOSMemory()
	if err := resetPeak(os.Getpid()); err != nil {
		t.Fatal(err)
	}
	if after, err := memoryMiB(os.Getpid(), memoryPeak); err != nil || after > before-32 {
		t.Errorf("the peak was %v MiB and is %v: %v", before, after, err)
	}
}

func TestEachCurveIsExplained(t *testing.T) {
	page := read(t, "../../docs/growth.md")
	for _, c := range newCurves() {
		figure := "growth/" + c.Name + ".svg"
		if !strings.Contains(page, "]("+figure+")") {
			t.Errorf("docs/growth.md says nothing of %s", figure)
		}
		var stored curve
		if err := json.Unmarshal([]byte(read(t, "../../docs/growth", c.Name+".json")), &stored); err != nil {
			t.Fatal(err)
		}
		if svg := read(t, "../../docs", figure); svg != stored.figure().SVG() {
			t.Errorf("docs/%s isn't of the figures beside it: ./scripts/bench --curves --save --work %s", figure, c.Name)
		}
	}
}
