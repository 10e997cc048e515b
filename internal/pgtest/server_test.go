package pgtest

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestServer(t *testing.T) {
	t.Parallel()
	s := Start(t, "max_connections = 17")
	require.EqualValues(t, 17, s.QueryInt(t, "SELECT setting::int8 FROM pg_settings WHERE name = 'max_connections'"))
	s.Exec(t, "CREATE TABLE numbers (n int8); INSERT INTO numbers VALUES (4), (5)")
	s.Kill()
	s.Restart(t)
	require.EqualValues(t, 9, s.QueryInt(t, "SELECT sum(n)::int8 FROM numbers"), "what was committed")
	s.Stop()
	require.False(t, s.answers())
	s.Restart(t)
	require.EqualValues(t, 9, s.QueryInt(t, "SELECT sum(n)::int8 FROM numbers"))
}

func TestSharedServer(t *testing.T) {
	t.Parallel()
	var shared Shared
	first := shared.Server(t)
	require.Same(t, first, shared.Server(t))
	require.EqualValues(t, 1, first.QueryInt(t, "SELECT $1::int8", 1))
	shared.Stop()
	require.False(t, first.answers())
	require.NoDirExists(t, first.dir)
	shared.Stop()
}
