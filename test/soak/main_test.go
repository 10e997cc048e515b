package soak_test

import (
	"os"
	"testing"

	"github.com/sessionbridge/sessionbridge/internal/testkit/testmain"
)

// TestMain runs the tests, or, in a process that a test has started, a node or clients.
func TestMain(m *testing.M) {
	if redis := os.Getenv(farmVariable); redis != "" {
		os.Exit(runFarmNode(redis, os.Stdin, os.Stdout))
	}
	if addr := os.Getenv(crowdVariable); addr != "" {
		runClients(addr, os.Stdin, os.Stdout)
		return
	}
	testmain.Run(m)
}
