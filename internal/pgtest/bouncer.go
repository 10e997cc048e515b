package pgtest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/testkit/programs"
)

// StartBouncer starts a PgBouncer in transaction mode in front of a server, until the end of the
// test, and returns the URL for pgstore.Open. It has no prepared statements, as versions before 1.21
// have none. Without PgBouncer the test is skipped, except in CI, where it fails.
func StartBouncer(t testing.TB, s *Server) (url string) {
	t.Helper()
	path := programs.Find(t, "pgbouncer", "/usr/sbin/pgbouncer")
	dir := t.TempDir()
	require.NoError(t, os.Chmod(filepath.Dir(dir), 0o755)) //nolint:gosec // the user postgres enters it
	require.NoError(t, os.Chmod(dir, 0o755))               //nolint:gosec // likewise
	for range 5 {                                          // another process may have taken the port
		port := programs.FreePort(t)
		if runBouncer(t, s, path, dir, port) {
			return fmt.Sprintf("postgres://%s@127.0.0.1:%d/postgres?default_query_exec_mode=cache_describe", superuser, port)
		}
	}
	log, _ := os.ReadFile(filepath.Join(dir, "output"))
	require.FailNow(t, "pgbouncer doesn't start", "%s", log)
	return ""
}

func runBouncer(t testing.TB, s *Server, path, dir string, port int) (runs bool) {
	t.Helper()
	users, config := filepath.Join(dir, "users.txt"), filepath.Join(dir, "pgbouncer.ini")
	lines := []string{
		"[databases]", fmt.Sprint("* = host=127.0.0.1 port=", s.port),
		"[pgbouncer]", "listen_addr = 127.0.0.1", fmt.Sprint("listen_port = ", port), "unix_socket_dir =",
		"auth_type = trust", "auth_file = " + users, "pool_mode = transaction", "default_pool_size = 5",
	}
	for path, text := range map[string]string{users: `"` + superuser + `" ""`, config: strings.Join(lines, "\n")} {
		require.NoError(t, os.WriteFile(path, []byte(text+"\n"), 0o644)) //nolint:gosec // the user postgres reads it
	}
	output, err := os.Create(filepath.Join(dir, "output"))
	require.NoError(t, err)
	defer func() { _ = output.Close() }()
	cmd := exec.Command(path, config) //nolint:gosec,noctx // until the end of the test
	cmd.Stdout, cmd.Stderr = output, output
	programs.LeaveNoOrphan(cmd)
	runAs(cmd, credential(t))
	require.NoError(t, cmd.Start())
	ended := make(chan struct{})
	go func() { // closes ended
		defer close(ended)
		_ = cmd.Wait()
	}()
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-ended })
	for deadline := time.After(patience); ; {
		conn, err := net.DialTimeout("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), patience)
		if err == nil {
			_ = conn.Close()
			return true
		}
		select {
		case <-ended:
			return false
		case <-deadline:
			return false
		case <-time.After(10 * time.Millisecond):
		}
	}
}
