//go:build unix

package pgtest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// SmallDisk mounts a file system of 12 MB for a tablespace, until the end of the test, which ends the
// server, too. Without the right to mount one the test is skipped.
func (s *Server) SmallDisk(t testing.TB) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "disk")
	require.NoError(t, os.Mkdir(path, 0o700))
	above := filepath.Dir(filepath.Dir(path))
	require.NoError(t, os.Chmod(above, 0o755)) //nolint:gosec // the user postgres enters it
	options := []string{"-t", "tmpfs", "-o", "size=12m", "tmpfs", path}
	mount := exec.CommandContext(t.Context(), "mount", options...) //nolint:gosec // a folder of the test
	if out, err := mount.CombinedOutput(); err != nil {
		t.Skipf("a small disk can't be mounted here: %v: %s", err, out)
	}
	t.Cleanup(func() {
		s.Kill()                                                                          // it has files there
		umount := exec.CommandContext(context.WithoutCancel(t.Context()), "umount", path) //nolint:gosec // likewise
		out, err := umount.CombinedOutput()
		require.NoError(t, err, "%s", out)
	})
	if id := credential(t); id != nil {
		require.NoError(t, os.Chown(path, int(id.Uid), int(id.Gid)))
	}
	return path
}
