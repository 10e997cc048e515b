package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func BenchmarkPostgres(b *testing.B) { benchmark(b, postgresGroups()) }

// Every side does its operation, and what ours has stored is there.
func TestPostgresSidesDoWhatTheySay(t *testing.T) {
	a := &postgresArena{}
	a.prepare(true, t.Output())
	defer func() { require.NoError(t, a.close()) }()
	err := a.open()
	if why := absence(err); why != "" {
		t.Log(why)
		return
	}
	require.NoError(t, err)
	for _, name := range []string{
		"ours get", "ours set", "ours set, held", "ours touch", "SELECT 1", "scs find", "scs commit", "bare update",
		"bare touch", "ours sweep",
	} {
		n, took, err := a.doers.during(postgresOp{name, 4}, 20*time.Millisecond)
		require.NoError(t, err, name)
		require.Positive(t, n, name)
		require.Positive(t, took, name)
	}
	stored := uint64(0)
	for i := range a.doers.ids {
		rec, err := a.doers.store.Get(t.Context(), a.doers.ids[i])
		require.NoError(t, err)
		require.Equal(t, a.doers.revisions[i].Load(), rec.Revision)
		stored += rec.Revision
	}
	require.Greater(t, stored, uint64(len(a.doers.ids)))
	_, _, err = a.doers.during(postgresOp{"nothing", 1}, time.Millisecond)
	require.ErrorContains(t, err, "nothing")
	grown, err := a.grow(a.sessions(), 20)
	require.NoError(t, err)
	require.Greater(t, grown[tableGrowth], 0.5)
	require.Greater(t, grown[hotShare], 0.5)
	loaded, err := a.sweepUnderLoad()
	require.NoError(t, err)
	require.Positive(t, loaded[sweptRate])
	require.Positive(t, loaded[p999Ns])
	alone, err := a.loadAlone()
	require.NoError(t, err)
	require.Positive(t, alone[p999Ns])
	for range 2 { // the second time its sessions are there
		for _, writers := range []int{0, 4} {
			news, err := a.doers.news(a.news(), writers)
			require.NoError(t, err)
			require.GreaterOrEqual(t, news[p99Ns], news[p50Ns])
		}
	}
}

// On a slow disk a change that waits for it takes longer by as much.
func TestASlowDiskIsSlow(t *testing.T) {
	const longer = 100 * time.Millisecond
	s, err := startPostgres(longer)
	if why := absence(err); why != "" {
		t.Log(why)
		return
	}
	require.NoError(t, err)
	defer func() { require.NoError(t, s.close()) }()
	pool, err := s.pool()
	require.NoError(t, err)
	defer pool.Close()
	_, err = pool.Exec(t.Context(), "CREATE TABLE numbers (n int)")
	require.NoError(t, err)
	began := time.Now()
	_, err = pool.Exec(t.Context(), "INSERT INTO numbers VALUES (1)")
	require.NoError(t, err)
	require.GreaterOrEqual(t, time.Since(began), longer)
}
