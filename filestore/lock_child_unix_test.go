//go:build unix

package filestore

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestCloseGivesUpTheLockWhileAChildIsBeingStarted: between fork and exec a child process has a copy of every descriptor.
func TestCloseGivesUpTheLockWhileAChildIsBeingStarted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sessions.db")
	st, err := Open(path, nil)
	require.NoError(t, err)
	childs, err := unix.Dup(int(st.engine.lock.file.Fd()))
	require.NoError(t, err)
	defer unix.Close(childs) //nolint:errcheck // nothing is written
	require.NoError(t, st.Close())

	st, err = Open(path, nil)
	require.NoError(t, err)
	require.NoError(t, st.Close())
}
