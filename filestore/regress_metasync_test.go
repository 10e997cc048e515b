package filestore

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/store"
)

// The last sync of a checkpoint's commit fails, the process is restarted, the log is recycled, and the power is cut: the durable
// database is the one before that commit, and what it needs of the log is gone.
func TestG8_MetaSyncFailedThenRestartThenPowerCut(t *testing.T) {
	broken := 0
	for nth := 1; nth <= 4; nth++ {
		d := newCrashDisk(t, fastDir(t), nil)
		opts := Options{CheckpointEvery: time.Hour}
		st, err := open(d, d.path(), &opts)
		require.NoError(t, err)
		_, err = st.Set(t.Context(), store.Record{ID: "acknowledged"})
		require.NoError(t, err)
		d.mu.Lock()
		d.fault = &fault{op: opSync, nth: d.counts[opSync] + nth, err: errIO}
		d.mu.Unlock()
		flushErr := st.engine.flush(t.Context(), false)
		_ = st.Close()
		d.restart()
		st, err = open(d, d.path(), &opts)
		require.NoError(t, err)
		d.cutAt(1<<30, 0)
		require.NoError(t, st.engine.flush(t.Context(), false))
		d.mu.Lock()
		commits := d.counts[opCommit]
		d.mu.Unlock()
		_, err = st.Set(t.Context(), store.Record{ID: "second"})
		require.NoError(t, err)
		require.NoError(t, st.engine.checkpointer.busy.Lock(t.Context()))
		// the log goes on in its other file; the power is cut before the checkpoint's commit
		st.engine.checkpointer.busy.Unlock()
		img := image(nil)
		d.mu.Lock()
		d.fault = &fault{op: opCommit, nth: commits + 1, err: errIO}
		d.mu.Unlock()
		_ = st.engine.flush(t.Context(), false)
		img = d.synced()
		_ = st.Close()
		after := newCrashDisk(t, fastDir(t), img)
		st, err = open(after, after.path(), &opts)
		if err != nil {
			broken++
			t.Logf("sync %d of the checkpoint (%v): %v", nth, flushErr, err)
			continue
		}
		for _, id := range []string{"acknowledged", "second"} {
			if _, err := st.Get(t.Context(), id); err != nil {
				broken++
				t.Logf("sync %d: %s: %v", nth, id, err)
			}
		}
		require.NoError(t, st.Close())
	}
	require.Zero(t, broken)
}
