package filestore

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/sessionbridge/sessionbridge/store"
)

// killDisk is the system's disk; from the commit on that is told, none happens any more, as if the process had been killed there.
type killDisk struct {
	osDisk
	left atomic.Int64 // commits that still happen
}

var errKilled = errors.New("killed")

func (d *killDisk) Commit(tx *bolt.Tx) error {
	if d.left.Add(-1) < 0 {
		return errKilled
	}
	return tx.Commit()
}

func openKillable(t *testing.T, path string) (*Store, *killDisk) {
	d := new(killDisk)
	d.left.Store(1 << 30)
	st, err := open(d, path, &Options{CheckpointEvery: time.Hour})
	require.NoError(t, err)
	return st, d
}

// putAll stores n sessions at once.
func putAll(t *testing.T, st store.Store, n int, revision uint64, expires time.Time) {
	var wg sync.WaitGroup
	var failed atomic.Pointer[error]
	for w := range 100 {
		wg.Go(func() {
			for i := w; i < n; i += 100 {
				_, err := st.Set(t.Context(), store.Record{ID: fmt.Sprintf("s%05d", i), Revision: revision, Expires: expires, Seen: time.Unix(1e9, 0)})
				if err != nil {
					failed.Store(&err)
				}
			}
		})
	}
	wg.Wait()
	require.Nil(t, failed.Load())
}

// A process that is killed while a checkpoint is between its first transaction, which has room for all changes of the indexes, and
// its last one, leaves a store that refuses to open.
func TestG8_KilledMidwayThroughTheSessions(t *testing.T) {
	path := filepath.Join(fastDir(t), "s.db")
	st, d := openKillable(t, path)
	putAll(t, st, 2500, 0, time.Unix(2e9, 0)) // 5000 changes of indexes: the first transaction takes them all, and 750 sessions
	d.left.Store(1)
	require.ErrorIs(t, st.engine.flush(t.Context(), false), errKilled)
	_ = st.Close()

	st, err := Open(path, nil)
	require.NoError(t, err)
	defer st.Close()
	_, err = st.Get(t.Context(), "s02499")
	require.NoError(t, err)
}

// A process that is killed in a checkpoint leaves entries in the indexes that the recovery doesn't find again: later it refuses to open.
func TestG8_KilledMidwayThroughTheIndexes(t *testing.T) {
	path := filepath.Join(fastDir(t), "s.db")
	st, d := openKillable(t, path)
	putAll(t, st, 5000, 0, time.Unix(2e9, 0))
	putAll(t, st, 5000, 1, time.Unix(2e9+100, 0)) // the entry by expiry stays where it is; replaying makes it another one
	d.left.Store(1)
	require.ErrorIs(t, st.engine.flush(t.Context(), false), errKilled)
	_ = st.Close()

	st, err := Open(path, nil)
	require.NoError(t, err)
	require.NoError(t, st.Close()) // the checkpoint of what was recovered is made
	st, err = Open(path, nil)
	require.NoError(t, err)
	require.NoError(t, st.Close())
}

// The same when a session is destroyed while the checkpoint is under way that is to bring it into the database.
func TestG8_DestroyedWhileMidway(t *testing.T) {
	path := filepath.Join(fastDir(t), "s.db")
	st, d := openKillable(t, path)
	putAll(t, st, 5000, 0, time.Unix(2e9, 0))
	d.left.Store(1)
	require.ErrorIs(t, st.engine.flush(t.Context(), false), errKilled)
	_ = st.Close()
	// (a destroy that came into the log in between is the same as one right after a recovery that is killed once more)
	st, d = openKillable(t, path)
	d.left.Store(0)
	_, _ = st.Destroy(t.Context(), "s00001")
	_ = st.Close()
	st, err := Open(path, nil)
	require.NoError(t, err)
	require.NoError(t, st.Close())
	st, err = Open(path, nil)
	require.NoError(t, err)
	require.NoError(t, st.Close())
}

// Killed in Optimize, and once more later: the log is recycled while the database refers to what was in it.
func TestG8_EmptySegmentIsRecycledTooSoon(t *testing.T) {
	path := filepath.Join(fastDir(t), "s.db")
	st, d := openKillable(t, path)
	d.left.Store(0)
	require.ErrorIs(t, st.engine.flush(t.Context(), true), errKilled) // as Optimize does, with nothing changed
	_ = st.Close()

	st, d = openKillable(t, path)
	require.NoError(t, st.engine.checkpointer.busy.Lock(t.Context())) // whatever checkpoint Open has begun is through
	st.engine.checkpointer.busy.Unlock()
	d.left.Store(0)
	_, err := st.Set(t.Context(), store.Record{ID: "acknowledged"})
	require.NoError(t, err)
	require.ErrorIs(t, st.engine.flush(t.Context(), false), errKilled) // a checkpoint has begun
	_ = st.Close()

	st, err = Open(path, nil)
	require.NoError(t, err)
	defer st.Close()
	_, err = st.Get(t.Context(), "acknowledged")
	require.NoError(t, err)
}
