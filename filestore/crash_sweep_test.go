package filestore

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/store"
)

// TestSweepsFindAllWhileTheDatabaseIsWritten: a sweep that runs while sessions go from the log into the database misses none of
// them, and returns those first that expired first.
func TestSweepsFindAllWhileTheDatabaseIsWritten(t *testing.T) {
	opts := smallOptions()
	st, err := Open(filepath.Join(fastDir(t), storeName), &opts)
	require.NoError(t, err)
	defer st.Close()
	ctx, base := t.Context(), modelEpoch
	for round := range 150 {
		const sessions = 12
		var wg sync.WaitGroup
		for i, at := range rand.Perm(sessions) {
			rec := store.Record{ID: fmt.Sprintf("%d-%d", round, i), Data: []byte("{}"), Expires: base.Add(time.Duration(at) * time.Second)}
			_, err := st.Set(ctx, rec)
			require.NoError(t, err)
			if i == sessions/2 && round%2 == 0 {
				require.NoError(t, st.engine.flush(ctx, false))
			}
		}
		wg.Go(func() { _ = st.engine.flush(ctx, false) })
		for at := range sessions {
			swept, err := st.Sweep(ctx, base.Add(time.Hour), 1)
			require.NoError(t, err)
			require.Len(t, swept, 1, "round %d: the sweep misses what expires at %d", round, at)
			require.Equal(t, base.Add(time.Duration(at)*time.Second), swept[0].Expires, "round %d", round)
		}
		wg.Wait()
	}
}
