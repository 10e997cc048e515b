package filestore

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/store"
)

// A sweep right after a recovery returned sessions too early: it had looked at them in a transaction that was older than what had left
// the overlay since. The order of what it returns is that of the expiries, whatever the recovery's checkpoint is doing.
func TestRegressSweepBesideACheckpoint(t *testing.T) {
	t.Parallel() // on files of its own, which it waits for
	base := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	for seed := range uint64(100) {
		random := rand.New(rand.NewPCG(seed, 1))
		at := func(n int) time.Time { return base.Add(time.Duration(random.IntN(n)) * time.Second) }
		d := &killDisk{}
		d.left.Store(1 << 30)
		path := filepath.Join(fastDir(t), "sessions.db")
		st, err := open(d, path, nil)
		require.NoError(t, err)
		revisions := map[string]uint64{}
		for range 60 {
			id := fmt.Sprint(random.IntN(30))
			seen := at(60)
			revisions[id], err = st.Set(t.Context(), store.Record{ID: id, Revision: revisions[id], Seen: seen, Expires: seen.Add(at(2000).Sub(base) + time.Hour)})
			require.NoError(t, err)
			if random.IntN(4) == 0 {
				require.NoError(t, st.Touch(t.Context(), id, at(2000)))
			}
			if random.IntN(20) == 0 {
				require.NoError(t, st.engine.flush(t.Context(), false))
			}
		}
		d.left.Store(0)
		_ = st.Close() // the process is killed before its last checkpoint

		st, err = Open(path, nil)
		require.NoError(t, err)
		var last time.Time
		for _, until := range []time.Time{base.Add(90 * time.Minute), base.Add(5 * time.Hour)} {
			for n := 7; n == 7; {
				swept, err := st.Sweep(t.Context(), until, 7)
				require.NoError(t, err)
				for _, rec := range swept {
					require.False(t, rec.Expires.Before(last), "seed %d: %v after %v", seed, rec.Expires, last)
					last = rec.Expires
				}
				n = len(swept)
			}
		}
		require.NoError(t, st.Close())
	}
}
