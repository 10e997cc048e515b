package pgtest

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/testkit/programs"
)

// StartStandby starts a hot standby of a server, which follows it until Promote, until the end of the
// test.
func StartStandby(t testing.TB, primary *Server) *Server {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.Chmod(filepath.Dir(dir), 0o755)) //nolint:gosec // the user postgres enters it
	s := &Server{programs: primary.programs, dir: filepath.Join(dir, "data")}
	require.NoError(t, os.Mkdir(s.dir, 0o700))
	if id := credential(t); id != nil {
		require.NoError(t, os.Chown(s.dir, int(id.Uid), int(id.Gid)))
	}
	from := fmt.Sprintf("host=127.0.0.1 port=%d user=%s", primary.port, superuser)
	out, err := s.command(t, "pg_basebackup", "--pgdata="+s.dir, "--dbname="+from, "--write-recovery-conf",
		"--checkpoint=fast", "--no-sync").CombinedOutput()
	require.NoError(t, err, "%s", out)
	t.Cleanup(s.Kill)
	copied, err := os.ReadFile(s.configFile())
	require.NoError(t, err)
	for range 5 { // another process may have taken the port
		s.port = programs.FreePort(t)
		text := fmt.Sprintf("%s\nport = %d\n", copied, s.port)
		require.NoError(t, os.WriteFile(s.configFile(), []byte(text), 0o644)) //nolint:gosec // the user postgres reads it
		if s.run(t) == nil {
			return s
		}
	}
	log, _ := os.ReadFile(s.logFile())
	require.FailNow(t, "the standby doesn't start", "%s", log)
	return nil
}

// CatchUp waits until a standby has all that the server has committed.
func (s *Server) CatchUp(t testing.TB, primary *Server) {
	t.Helper()
	committed := primary.QueryInt(t, "SELECT (pg_current_wal_flush_lsn() - '0/0')::int8")
	require.Eventually(t, func() bool {
		return s.QueryInt(t, "SELECT (pg_last_wal_replay_lsn() - '0/0')::int8") >= committed
	}, patience, 10*time.Millisecond)
}

// Promote makes a standby a server of its own, and waits until it accepts writes.
func (s *Server) Promote(t testing.TB) {
	t.Helper()
	require.EqualValues(t, 1, s.QueryInt(t, "SELECT pg_promote(true, 60)::int::int8"))
}
