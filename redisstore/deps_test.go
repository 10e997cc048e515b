package redisstore_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestOnlyThisPackageNeedsTheClient: an application with another store doesn't link a Redis client.
func TestOnlyThisPackageNeedsTheClient(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps",
		"../bridge", "../livestore", "../filestore", "../store/...", "../internal/gateway").Output()
	require.NoError(t, err)
	require.Contains(t, string(out), "/store\n")
	for dependency := range strings.Lines(string(out)) {
		require.NotContains(t, dependency, "rueidis")
		require.NotContains(t, dependency, "/redisstore")
	}
}
