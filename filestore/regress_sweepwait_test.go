package filestore

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/store"
)

// Sweep didn't look at its context while it waits for the committer (the log is full, the database is being compacted).
func TestRegressSweepIgnoresContext(t *testing.T) {
	t.Parallel() // on files of its own, which it waits for
	st, err := Open(filepath.Join(fastDir(t), "s.db"), &Options{LogSize: 1 << 20, CheckpointEvery: time.Hour})
	require.NoError(t, err)
	_, err = st.Set(t.Context(), store.Record{ID: "old", Expires: time.Unix(1, 0)})
	require.NoError(t, err)
	require.NoError(t, st.engine.checkpointer.busy.Lock(t.Context()))
	next := func(i int) store.Record { return store.Record{ID: fmt.Sprint(i), Data: make([]byte, 60<<10)} }
	full := 0
	for ; !mustTurn(st, next(full)); full++ {
		_, err := st.Set(t.Context(), next(full))
		require.NoError(t, err)
	}
	waits, giveUp := context.WithCancel(t.Context())
	var sets sync.WaitGroup
	require.Eventually(t, func() bool { // until one is waiting that comes before the Sweep: the committer, or another in its queue
		sets.Go(func() { _, _ = st.Set(waits, next(full)) })
		st.engine.queue.mu.Lock()
		defer st.engine.queue.mu.Unlock()
		return len(st.engine.queue.ops) > 0
	}, time.Minute, time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	swept := make(chan error, 1)
	go func() { _, err := st.Sweep(ctx, time.Now(), 10); swept <- err }()
	select {
	case err := <-swept:
		require.ErrorIs(t, err, context.DeadlineExceeded)
		st.engine.checkpointer.busy.Unlock()
	case <-time.After(time.Minute):
		t.Error("Sweep doesn't look at its context")
		st.engine.checkpointer.busy.Unlock()
		require.NoError(t, <-swept)
	}
	giveUp()
	sets.Wait()
	require.NoError(t, st.Close())
}
