package filestore

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/store"
)

// Sweep didn't look at its context while it waits for the committer (the log is full, the database is being compacted).
func TestRegressSweepIgnoresContext(t *testing.T) {
	st, err := Open(filepath.Join(t.TempDir(), "s.db"), &Options{LogSize: 1 << 20, CheckpointEvery: time.Hour})
	require.NoError(t, err)
	_, err = st.Set(t.Context(), store.Record{ID: "old", Expires: time.Unix(1, 0)})
	require.NoError(t, err)
	release, err := st.engine.checkpointer.busy.enter(t.Context())
	require.NoError(t, err)
	for i := 0; err == nil; i++ {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		_, err = st.Set(ctx, store.Record{ID: fmt.Sprint(i), Data: make([]byte, 60<<10)})
		cancel()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	swept := make(chan error, 1)
	go func() { _, err := st.Sweep(ctx, time.Now(), 10); swept <- err }()
	select {
	case err := <-swept:
		require.ErrorIs(t, err, context.DeadlineExceeded)
		release()
	case <-time.After(2 * time.Second):
		t.Error("Sweep doesn't look at its context")
		release()
		require.NoError(t, <-swept)
	}
	require.NoError(t, st.Close())
}
