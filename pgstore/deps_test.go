package pgstore_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestOnlyThisPackageNeedsTheDriver: an application with another store doesn't link a driver of
// PostgreSQL.
func TestOnlyThisPackageNeedsTheDriver(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps",
		"../bridge", "../livestore", "../filestore", "../redisstore", "../store/...", "../admin").Output()
	require.NoError(t, err)
	require.Contains(t, string(out), "/store\n")
	for dependency := range strings.Lines(string(out)) {
		require.NotContains(t, dependency, "jackc")
		require.NotContains(t, dependency, "/pgstore")
	}
}
