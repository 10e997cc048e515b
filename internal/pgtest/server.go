package pgtest

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/testkit/programs"
)

// patience limits the start and the end of a server, on a busy machine.
const patience = time.Minute

// Server is a PostgreSQL server. Its methods must be called from one goroutine at a time.
type Server struct {
	programs string // the folder of initdb and postgres
	dir      string
	port     int
	process  *exec.Cmd // nil if it isn't running
	ended    chan struct{}
}

// Start starts a server with lines of configuration, such as "max_connections = 10", and waits until
// it replies. Without configuration it doesn't sync, so that a crash of the machine may damage its
// files; a crash of its processes doesn't. Without PostgreSQL the test is skipped, except in CI,
// where it fails.
func Start(t testing.TB, config ...string) *Server {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.Chmod(filepath.Dir(dir), 0o755)) //nolint:gosec // the user postgres enters it
	s := start(t, dir, config)
	t.Cleanup(s.Kill)
	return s
}

func start(t testing.TB, dir string, config []string) *Server {
	t.Helper()
	s := &Server{programs: installed(t), dir: filepath.Join(dir, "data")}
	s.initialize(t)
	for range 5 { // another process may have taken the port
		s.port = programs.FreePort(t)
		lines := append([]string{
			"listen_addresses = '127.0.0.1'", fmt.Sprint("port = ", s.port), "unix_socket_directories = ''",
			"fsync = off", "max_connections = 200", "autovacuum_naptime = 5s",
			// Even a crash waits for a connection that has sent nothing yet, by default for a minute.
			"authentication_timeout = 15s",
		}, config...)
		text := strings.Join(lines, "\n") + "\n"
		require.NoError(t, os.WriteFile(s.configFile(), []byte(text), 0o644))
		if s.run(t) == nil {
			return s
		}
	}
	log, _ := os.ReadFile(s.logFile())
	require.FailNow(t, "postgres doesn't start", "%s", log)
	return nil
}

const superuser = "postgres"

// installed returns the folder of the newest PostgreSQL. Debian has the programs of the server in a
// folder for each version, which isn't in PATH; in PATH may be links to some of them.
func installed(t testing.TB) string {
	t.Helper()
	paths, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	slices.SortFunc(paths, func(a, b string) int { return version(b) - version(a) })
	path, err := filepath.EvalSymlinks(programs.Find(t, append(paths, "initdb")...))
	require.NoError(t, err)
	return filepath.Dir(path)
}

func version(path string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
	return n
}

func (s *Server) command(t testing.TB, name string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(filepath.Join(s.programs, name), args...) //nolint:gosec,noctx // until the test ends it
	cmd.Dir = s.dir
	programs.LeaveNoOrphan(cmd)
	runAs(cmd, credential(t))
	return cmd
}

func (s *Server) logFile() string { return filepath.Join(filepath.Dir(s.dir), "log") }

func (s *Server) configFile() string { return filepath.Join(s.dir, "postgresql.auto.conf") }

// run starts the process and waits until it replies.
func (s *Server) run(t testing.TB) error {
	t.Helper()
	log, err := os.OpenFile(s.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	process := s.command(t, "postgres", "-D", s.dir)
	process.Stdout, process.Stderr = log, log
	if err := process.Start(); err != nil {
		return err
	}
	s.process, s.ended = process, make(chan struct{})
	go func(ended chan struct{}) { // closes ended
		defer close(ended)
		_ = process.Wait()
	}(s.ended)
	deadline := time.After(patience)
	for {
		if s.answers() {
			return nil
		}
		select {
		case <-s.ended:
			s.process = nil
			return fmt.Errorf("pgtest: postgres ended: %s", process.ProcessState)
		case <-deadline:
			s.Kill()
			return fmt.Errorf("pgtest: postgres doesn't reply")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// answers reports whether this server accepts connections. Another server may have its port.
func (s *Server) answers() bool {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.URL())
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close(ctx) }()
	var dir string
	err = conn.QueryRow(ctx, "SHOW data_directory").Scan(&dir)
	return err == nil && dir == s.dir
}

// Addr returns the host and port.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// URL returns the URL for pgstore.Open, of a superuser.
func (s *Server) URL() string { return "postgres://" + superuser + "@" + s.Addr() + "/postgres" }

// Stop shuts the server down, which closes its connections, and waits until it has ended.
func (s *Server) Stop() { s.end(os.Interrupt) }

// Kill ends the server without a shutdown, as a crash does: the next Restart recovers what was
// committed.
func (s *Server) Kill() { s.end(crash) }

func (s *Server) end(how os.Signal) {
	if s.process == nil {
		return
	}
	_ = s.process.Process.Signal(how)
	select {
	case <-s.ended:
	case <-time.After(patience):
		_ = s.process.Process.Kill()
		<-s.ended
	}
	s.process = nil
}

// Restart starts a server again that was stopped or killed, with the same port and directory.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	require.Nil(t, s.process, "the server runs")
	require.NoError(t, s.run(t))
}

// Exec executes statements without parameters, which must succeed.
func (s *Server) Exec(t testing.TB, sql string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.URL())
	require.NoError(t, err)
	defer func() { _ = conn.Close(ctx) }()
	_, err = conn.PgConn().Exec(ctx, sql).ReadAll()
	require.NoError(t, err)
}

// QueryInt returns the number that a query returns.
func (s *Server) QueryInt(t testing.TB, sql string, args ...any) (n int64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.URL())
	require.NoError(t, err)
	defer func() { _ = conn.Close(ctx) }()
	require.NoError(t, conn.QueryRow(ctx, sql, args...).Scan(&n))
	return n
}

// crash makes postgres and its processes end at once, without a shutdown.
const crash = syscall.SIGQUIT
