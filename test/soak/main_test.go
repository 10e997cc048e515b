package soak_test

import (
	"os"
	"testing"

	"github.com/sessionbridge/sessionbridge/internal/testkit/testmain"
)

// TestMain runs the tests, or, in a process that a test has started, a node or clients.
func TestMain(m *testing.M) {
	if server := os.Getenv(farmVariable); server != "" {
		os.Exit(runFarmNode(server, os.Stdin, os.Stdout))
	}
	if addr := os.Getenv(crowdVariable); addr != "" {
		runClients(addr, os.Stdin, os.Stdout)
		return
	}
	testmain.Run(m)
}
