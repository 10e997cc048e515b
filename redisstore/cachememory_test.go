package redisstore_test

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/redistest"
	"github.com/sessionbridge/sessionbridge/redisstore"
)

// TestCacheMemoryIsBounded: Options.CacheBytes limits the memory of the process, not just a number
// of sessions.
func TestCacheMemoryIsBounded(t *testing.T) {
	const sessions, limit = 12_000, 4 << 20
	s := redistest.Start(t)
	st := open(t, s.URL(), &redisstore.Options{CacheBytes: limit, Timeout: patience})
	recs := fill(t, st, sessions)
	heap := func() int {
		var stats runtime.MemStats
		for range 2 { // the second collection frees the contents of pools
			runtime.GC()
		}
		runtime.ReadMemStats(&stats)
		return int(stats.HeapAlloc) //nolint:gosec // no machine has that much
	}
	before := heap()
	for _, rec := range recs {
		_, err := st.GetCached(t.Context(), rec.ID)
		require.NoError(t, err)
	}
	taken := heap() - before
	t.Logf("%d KiB of %d", taken>>10, limit>>10)
	require.Greater(t, taken, limit/2)
	require.Less(t, taken, limit*5/4)
	runtime.KeepAlive(recs)
}
