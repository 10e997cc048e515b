// Package programs finds and starts the programs that tests need.
package programs

import (
	"bufio"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// Find returns the path of the first of the programs that is installed. Without any the test is
// skipped, except in CI, where it fails.
func Find(t testing.TB, names ...string) string {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	Missing(t, "there is no "+names[0]+" here; `make deps` installs it")
	return ""
}

// Missing skips a test that needs what is missing, except in CI, where it fails.
func Missing(t testing.TB, what string) {
	t.Helper()
	if ci, _ := strconv.ParseBool(os.Getenv("CI")); ci {
		require.FailNow(t, what)
	}
	t.Skip(what)
}

// Node starts a script in node, which has to end when its standard input does, at the end of the test.
// It returns the lines of its standard output.
func Node(t testing.TB, script string) *bufio.Scanner {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), Find(t, "node"), script)
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	cmd.Stderr = os.Stderr
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = stdin.Close(); _ = cmd.Wait() })
	return bufio.NewScanner(stdout)
}
