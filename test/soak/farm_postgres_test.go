package soak_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/pgtest"
)

// farmPostgres is a PostgreSQL. Killed, it ends in immediate mode, and recovers when it restarts.
type farmPostgres struct {
	*pgtest.Server
	t *testing.T
}

func onPostgres(t *testing.T, config ...string) farmServer {
	t.Helper()
	// A connection that stalls delays a crash for as long.
	return farmPostgres{pgtest.Start(t, append(config, "authentication_timeout = 3s")...), t}
}

func (p farmPostgres) Restart() {
	p.t.Helper()
	p.Server.Restart(p.t)
}

// LoseCommits makes the server acknowledge writes that a crash loses, from now on.
func (p farmPostgres) LoseCommits() {
	p.t.Helper()
	p.Exec(p.t, "ALTER SYSTEM SET synchronous_commit = off")
	p.Exec(p.t, "SELECT pg_reload_conf()")
}

func (p farmPostgres) Proxy() farmProxy {
	p.t.Helper()
	return pgtest.StartProxy(p.t, p.Server)
}

func (p farmPostgres) EndLease(node string) {
	p.t.Helper()
	p.Exec(p.t, "UPDATE sessionbridge.nodes SET until = clock_timestamp() WHERE name = '"+node+"'")
}

func (p farmPostgres) Holds(node string) bool {
	p.t.Helper()
	return p.QueryInt(p.t, `SELECT (SELECT count(*) FROM sessionbridge.holdings WHERE node = $1) +
		(SELECT count(*) FROM sessionbridge.inbox WHERE node = $1)`, node) > 0
}

func (p farmPostgres) Sessions() bool {
	p.t.Helper()
	return p.rows("sessions") > 0
}

func (p farmPostgres) Locks() int {
	p.t.Helper()
	return int(p.QueryInt(p.t, "SELECT count(*) FROM sessionbridge.user_locks WHERE until > clock_timestamp()"))
}

// RequireEmpty: the locks of owners that were killed end after 10 s, and are removed by the next lock.
func (p farmPostgres) RequireEmpty(farmStore) {
	p.t.Helper()
	for _, table := range []string{"nodes", "sessions"} {
		require.Zero(p.t, p.rows(table), table)
	}
	// What transactions have added for nodes that were being removed, other nodes remove each minute.
	p.Exec(p.t, "SELECT sessionbridge.remove_orphans()")
	for _, table := range []string{"holdings", "inbox"} {
		require.Zero(p.t, p.rows(table), table)
	}
	require.Zero(p.t, p.QueryInt(p.t,
		"SELECT count(*) FROM sessionbridge.user_locks WHERE until > clock_timestamp() + interval '10 s'"))
}

func (p farmPostgres) rows(table string) int64 {
	p.t.Helper()
	return p.QueryInt(p.t, "SELECT count(*) FROM sessionbridge."+table)
}
