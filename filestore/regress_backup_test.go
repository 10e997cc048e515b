package filestore

import (
	"context"
	"io"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

type stuckWriter struct{ entered, release chan struct{} }

func (w stuckWriter) Write(b []byte) (int, error) {
	close(w.entered)
	<-w.release
	return 0, io.ErrClosedPipe
}

// A Backup whose writer is stuck made Optimize wait without looking at its context, and Close for ever.
func TestRegressStuckBackup(t *testing.T) {
	st, err := Open(filepath.Join(fastDir(t), "s.db"), nil)
	require.NoError(t, err)
	w := stuckWriter{make(chan struct{}), make(chan struct{})}
	ended, optimized, closed := make(chan struct{}), make(chan error, 1), make(chan error, 1)
	go func() { defer close(ended); _, _ = st.Backup(context.WithoutCancel(t.Context()), w) }()
	<-w.entered
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	go func() { optimized <- st.Optimize(ctx) }()
	select {
	case err := <-optimized:
		t.Log("Optimize:", err)
	case <-time.After(time.Minute):
		t.Error("Optimize doesn't look at its context")
	}
	go func() { closed <- st.Close() }()
	select {
	case err := <-closed:
		require.NoError(t, err)
	case <-time.After(time.Minute):
		t.Error("Close waits for somebody else's writer")
	}
	close(w.release)
	<-ended
}
