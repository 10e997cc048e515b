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
	grown, err := a.grow()
	require.NoError(t, err)
	require.Greater(t, grown[tableGrowth], 0.5)
	require.Greater(t, grown[hotShare], 0.5)
}
