package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"

	"pipesync/internal/testcluster"
)

// soakEnv asks for the long tests at full length.
const soakEnv = "PIPESYNC_SOAK"

// raceEnv asks for the race detector's build of the server.
const raceEnv = "PIPESYNC_RACE"

var (
	binary    string // of pipesync, built once
	sharedDir string

	sharedOnce    sync.Once
	sharedCluster *testcluster.Cluster
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) (code int) {
	dir, err := os.MkdirTemp("", "pipesync-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "making a directory for the tests:", err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	sharedDir = dir
	if binary, err = testcluster.Build(context.Background(), dir, os.Getenv(raceEnv) != ""); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code = m.Run()
	if sharedCluster != nil {
		if err := errors.Join(sharedCluster.Alarms(), sharedCluster.Close()); err != nil {
			fmt.Fprintln(os.Stderr, "ending the shared cluster:", err)
			return 1
		}
	}
	return code
}

// soaking is true where the long tests shall run at full length.
func soaking() bool { return os.Getenv(soakEnv) != "" }
