package pgtest

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
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

// TestStandby: it follows the server, refuses writes, and takes over.
func TestStandby(t *testing.T) {
	t.Parallel()
	s := Start(t)
	standby := StartStandby(t, s)
	s.Exec(t, "CREATE TABLE numbers (n int8); INSERT INTO numbers VALUES (4), (5)")
	standby.CatchUp(t, s)
	s.Kill()
	standby.Promote(t)
	standby.Exec(t, "INSERT INTO numbers VALUES (6)")
	require.EqualValues(t, 15, standby.QueryInt(t, "SELECT sum(n)::int8 FROM numbers"))
}

// TestBouncer: connections of the server are shared, so that settings of a session don't last.
func TestBouncer(t *testing.T) {
	t.Parallel()
	s := Start(t)
	url := StartBouncer(t, s)
	var backends []int
	for range 2 {
		conn, err := pgx.Connect(t.Context(), url)
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
		var pid int
		require.NoError(t, conn.QueryRow(t.Context(), "SELECT pg_backend_pid()").Scan(&pid))
		backends = append(backends, pid)
	}
	require.Equal(t, backends[0], backends[1])
}
