package filestore

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/store"
)

// A sync of the log fails, the process is restarted ("open the store anew"), goes on, and the power is cut: what was acknowledged after the
// restart can't be opened, because recovery has taken a group for durable that only the page cache has.
func TestG8_SyncFailedThenRestartThenPowerCut(t *testing.T) {
	dir := fastDir(t)
	d := newCrashDisk(t, dir, nil)
	opts := Options{CheckpointEvery: time.Hour}
	st, err := open(d, d.path(), &opts)
	require.NoError(t, err)
	_, err = st.Set(t.Context(), store.Record{ID: "first"})
	require.NoError(t, err)
	d.mu.Lock()
	d.fault = &fault{op: opSync, nth: d.counts[opSync] + 1, err: errIO}
	d.mu.Unlock()
	_, err = st.Set(t.Context(), store.Record{ID: "failed"})
	require.ErrorIs(t, err, errIO)
	_ = st.Close()
	d.restart()
	st, err = open(d, d.path(), &opts)
	require.NoError(t, err)
	// the recovery's checkpoint isn't through yet
	require.NoError(t, st.engine.checkpointer.busy.Lock(t.Context()))
	t.Log(st.Get(t.Context(), "failed"))
	_, err = st.Set(t.Context(), store.Record{ID: "second"})
	require.NoError(t, err)
	img := d.synced()
	st.engine.checkpointer.busy.Unlock()
	require.NoError(t, st.Close())

	after := newCrashDisk(t, fastDir(t), img)
	st, err = open(after, after.path(), &opts)
	require.NoError(t, err)
	_, err = st.Get(t.Context(), "second")
	require.NoError(t, err)
	require.NoError(t, st.Close())
}
