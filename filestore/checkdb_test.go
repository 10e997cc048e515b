package filestore

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"
)

// checkdb is the command that checks a store, built by the first test that needs it.
var checkdb struct {
	build sync.Once
	dir   string
	err   error
}

func removeCheckdb() { _ = os.RemoveAll(checkdb.dir) }

func buildCheckdb() {
	if checkdb.dir, checkdb.err = os.MkdirTemp("", "filestore-checkdb-"); checkdb.err == nil {
		command := exec.Command("go", "build", "-o", checkdb.dir, "./cmd/checkdb")
		command.Stderr = os.Stderr
		checkdb.err = command.Run()
	}
}

// runCheckdb runs the command and returns its exit code; -1: a signal has ended it.
func runCheckdb(t testing.TB, args ...string) (code int, out, progress string) {
	t.Helper()
	checkdb.build.Do(buildCheckdb)
	require.NoError(t, checkdb.err)
	command := exec.CommandContext(t.Context(), filepath.Join(checkdb.dir, "checkdb"), args...)
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	err := command.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	return command.ProcessState.ExitCode(), stdout.String(), stderr.String()
}

// checkCommand reports whether the command finds no damage.
func checkCommand(t testing.TB, path string) bool {
	t.Helper()
	code, out, progress := runCheckdb(t, path)
	require.Equal(t, code == 0, bytes.Contains([]byte(out), []byte("no damage was found")), "%d: %s%s", code, out, progress)
	return code == 0
}

func TestCheckdbExitCodes(t *testing.T) {
	t.Parallel()
	path := writeDatabase(t, map[string]int{"": 200})
	withoutLog(t, path)
	code, out, progress := runCheckdb(t, path)
	require.Zero(t, code, progress)
	require.Contains(t, out, "sessions: 200; apps: 1")
	require.Contains(t, progress, "checking the database: ")

	alter(t, path, func(tx *bolt.Tx) { loses(namesOf("").users)(t, tx) })
	code, out, _ = runCheckdb(t, path)
	require.Equal(t, 1, code)
	require.Contains(t, out, "the index by user of the app")
	require.Contains(t, out, "the store is damaged")

	for _, args := range [][]string{nil, {path, path}, {path + ".missing"}} {
		code, out, progress = runCheckdb(t, args...)
		require.Equal(t, 2, code)
		require.Empty(t, out)
		require.NotEmpty(t, progress)
	}
}
