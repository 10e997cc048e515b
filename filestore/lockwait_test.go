package filestore_test

import (
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/filestore"
	"github.com/sessionbridge/sessionbridge/store"
)

// TestOpenWaitsForAProcessThatIsLeaving: a deploy starts the new process before the old one has ended.
func TestOpenWaitsForAProcessThatIsLeaving(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "sessions.db")
		old, err := filestore.Open(path, nil)
		require.NoError(t, err)
		_, err = old.Set(t.Context(), store.Record{ID: "a", Data: []byte("{}")})
		require.NoError(t, err)

		start := time.Now()
		_, err = filestore.Open(path, nil)
		require.ErrorIs(t, err, filestore.ErrLocked)
		require.Zero(t, time.Since(start), "by default it fails at once")

		_, err = filestore.Open(path, &filestore.Options{LockWait: 3 * time.Second})
		require.ErrorIs(t, err, filestore.ErrLocked)
		require.Equal(t, 3*time.Second, time.Since(start), "it waits no longer than it is told")

		go func() {
			time.Sleep(2 * time.Second)
			_ = old.Close()
		}()
		fresh, err := filestore.Open(path, &filestore.Options{LockWait: time.Minute})
		require.NoError(t, err)
		require.Less(t, time.Since(start), 6*time.Second, "and not longer than it must")
		_, err = fresh.Get(t.Context(), "a")
		require.NoError(t, err)
		require.NoError(t, fresh.Close())
	})
	_, err := filestore.Open(filepath.Join(t.TempDir(), "sessions.db"), &filestore.Options{LockWait: -1})
	require.ErrorContains(t, err, "LockWait")
}
