package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"pipesync/fsm"
)

// versionInfo is what the binary knows of its own making.
type versionInfo struct {
	Version  string `json:"version"`
	Commit   string `json:"commit,omitempty"`
	Time     string `json:"time,omitempty"`
	Modified bool   `json:"modified"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
	// MaxClusterVersion is the newest version of a cluster that it can be a member of.
	MaxClusterVersion uint32 `json:"max_cluster_version"`
}

// What scripts/compile has the linker put here; empty in any other build, which
// knows only what Go has noted.
var stampedVersion, stampedCommit, stampedTime, stampedModified string

func newVersionCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Show the version of this binary",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			v := buildVersion()
			return a.print(v, func(w *tabwriter.Writer) {
				fmt.Fprintf(w, "pipesync %s (commit %s, %s, %s, clusters up to version %d)\n",
					v.Version, orDash(v.Commit), v.Go, v.Platform, v.MaxClusterVersion)
			})
		},
	}
}

func buildVersion() versionInfo {
	v := versionInfo{Version: "devel", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, MaxClusterVersion: fsm.MaxClusterVersion}
	if stampedVersion != "" {
		v.Version, v.Commit, v.Time, v.Modified = stampedVersion, stampedCommit, stampedTime, stampedModified == "true"
		return v
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if info.Main.Version != "" && info.Main.Version != "(devel)" {
		v.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Commit = s.Value
		case "vcs.time":
			v.Time = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		}
	}
	return v
}
