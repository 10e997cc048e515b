package livestore_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

// TestSweepCostsWhatExpired: a sweep visits entries that are due, regardless of the number of
// sessions.
func TestSweepCostsWhatExpired(t *testing.T) {
	const due = 100
	now := start.Add(24*time.Hour + (due-1)*time.Millisecond)
	for _, total := range []int{1000, 50_000} {
		st, _ := fill(t, total)
		removed, visited := st.SweepVisited(now, total)
		require.Equal(t, due, removed)
		require.Equal(t, due, visited, "entries looked at, of %d", total)
		removed, visited = st.SweepVisited(now, total)
		require.Zero(t, removed)
		require.Zero(t, visited)
	}
}

// TestSweepStopsAtN: due entries beyond n aren't visited.
func TestSweepStopsAtN(t *testing.T) {
	st, _ := fill(t, 10_000)
	removed, visited := st.SweepVisited(start.Add(48*time.Hour), 10)
	require.Equal(t, 10, removed)
	require.Equal(t, 10, visited)
}

// TestExtendedSessionsAreVisitedOnce: an active session is visited once at its first expiry, and
// then not before its next one, however often it was extended.
func TestExtendedSessionsAreVisitedOnce(t *testing.T) {
	const total = 1000
	st, recs := fill(t, total)
	for hour := 1; hour <= 20; hour++ {
		seen := start.Add(time.Duration(hour) * time.Hour)
		for _, rec := range recs {
			require.NoError(t, st.Touch(t.Context(), rec.ID, seen))
		}
	}
	now := start.Add(25 * time.Hour)
	removed, visited := st.SweepVisited(now, total)
	require.Zero(t, removed)
	require.Equal(t, total, visited)
	for range 10 {
		_, visited = st.SweepVisited(now, total)
		require.Zero(t, visited)
	}
	removed, visited = st.SweepVisited(start.Add(44*time.Hour+total*2*time.Millisecond), total)
	require.Equal(t, total, removed)
	require.Equal(t, total, visited)
}

// TestDestroyedSessionsLeaveNothing: a session that is destroyed long before its expiry is removed
// from all orders.
func TestDestroyedSessionsLeaveNothing(t *testing.T) {
	st, recs := fill(t, 1000)
	for _, rec := range recs {
		_, err := st.Destroy(t.Context(), rec.ID)
		require.NoError(t, err)
	}
	_, visited := st.SweepVisited(start.Add(1000*time.Hour), 1000)
	require.Zero(t, visited)
}

func TestCloseEndsEveryApp(t *testing.T) {
	st := livestore.New()
	shop, ok := st.App("shop").(*livestore.Store)
	require.True(t, ok)
	require.NoError(t, shop.Close(), "closing an App's store has no effect")
	require.NoError(t, st.Ping(t.Context()), "the others stay open")
	require.Same(t, st, shop.App(""))
	require.Same(t, shop, shop.App("shop"))
	require.NoError(t, st.Close())
	require.Error(t, shop.Ping(t.Context()))
}

// TestSweepAtTheEndOfTime: what never expires stays, at the last time in microseconds, too.
func TestSweepAtTheEndOfTime(t *testing.T) {
	st, recs := fill(t, 100)
	_, err := st.Set(t.Context(), store.Record{ID: "never"})
	require.NoError(t, err)
	swept, err := st.Sweep(t.Context(), time.UnixMicro(math.MaxInt64), 2*len(recs))
	require.NoError(t, err)
	require.Len(t, swept, len(recs))
	_, err = st.Get(t.Context(), "never")
	require.NoError(t, err)
}

// TestSweepOfNothingTakesNoMemory: most sweeps find nothing.
func TestSweepOfNothingTakesNoMemory(t *testing.T) {
	st, _ := fill(t, 100)
	require.Zero(t, testing.AllocsPerRun(20, func() { _, _ = st.Sweep(t.Context(), start, 1000) }))
}
