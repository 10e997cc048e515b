package filestore

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The database's file is cut short by somebody else: Close doesn't return.
func TestRegressCloseHangsOnTruncatedDatabase(t *testing.T) {
	path := filepath.Join(fastDir(t), "s.db")
	st, err := Open(path, &Options{CheckpointEvery: time.Hour})
	require.NoError(t, err)
	putAll(t, st, 100, 0, time.Unix(2e9, 0))
	require.NoError(t, st.engine.flush(t.Context(), false))
	putAll(t, st, 100, 1, time.Unix(2e9, 0))
	require.NoError(t, os.Truncate(path, 0))
	t.Log(st.engine.flush(t.Context(), false))
	closed := make(chan error, 1)
	go func() { closed <- st.Close() }()
	select {
	case err := <-closed:
		t.Log(err)
	case <-time.After(time.Minute):
		t.Fatal("Close hangs")
	}
}
