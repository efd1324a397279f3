package storage

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if name := os.Getenv(doomEnv); name != "" {
		runDoom(name)
	}
	goleak.VerifyTestMain(m)
}
