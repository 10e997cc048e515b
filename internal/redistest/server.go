package redistest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/rueidis"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/testkit/programs"
)

// patience limits the start and the end of a server, on a busy machine.
const patience = time.Minute

// Server is a redis-server. Its methods must be called from the goroutine of the test.
type Server struct {
	t       testing.TB
	path    string // of the program
	dir     string
	port    int
	busPort int // of the cluster bus
	config  []string
	mode    []string  // arguments after the configuration file
	process *exec.Cmd // nil if it isn't running
	ended   chan struct{}

	mu     sync.Mutex
	client rueidis.Client // of Do, nil before the first command
}

// Start starts a server with lines of configuration, such as "maxmemory 10mb", and waits until it
// replies. It has no persistence unless a line configures it. Without redis-server the test is
// skipped, except in CI, where it fails.
func Start(t testing.TB, config ...string) *Server {
	t.Helper()
	return start(t, nil, config)
}

// StartSentinel starts a single Sentinel that monitors the master under that name.
func StartSentinel(t testing.TB, name string, master *Server) *Server {
	t.Helper()
	return start(t, []string{"--sentinel"}, []string{
		fmt.Sprintf("sentinel monitor %s 127.0.0.1 %d 1", name, master.port),
		fmt.Sprintf("sentinel down-after-milliseconds %s 1000", name),
	})
}

func start(t testing.TB, mode, config []string) *Server {
	t.Helper()
	s := &Server{t: t, path: programs.Find(t, "redis-server"), dir: t.TempDir(), config: config, mode: mode}
	for range 5 { // another process may have taken the port
		s.port, s.busPort = programs.FreePort(t), programs.FreePort(t)
		if s.run() == nil {
			t.Cleanup(s.Kill)
			return s
		}
	}
	log, _ := os.ReadFile(s.logFile())
	require.FailNow(t, "redis-server doesn't start", "%s", log)
	return nil
}

func (s *Server) logFile() string { return filepath.Join(s.dir, "log") }

// run starts the process and waits until it replies.
func (s *Server) run() error {
	lines := append([]string{
		"bind 127.0.0.1", fmt.Sprint("port ", s.port), fmt.Sprint("cluster-port ", s.busPort),
		"dir " + s.dir, "logfile " + s.logFile(), "daemonize no", `save ""`, "appendonly no",
		"repl-diskless-sync-delay 0",
	}, s.config...)
	file := filepath.Join(s.dir, "redis.conf")
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		return err
	}
	args := append([]string{file}, s.mode...)
	process := exec.Command(s.path, args...) //nolint:gosec,noctx // the server, until the test ends it
	programs.LeaveNoOrphan(process)
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
			return fmt.Errorf("redis-server ended: %s", process.ProcessState)
		case <-deadline:
			s.Kill()
			return fmt.Errorf("redis-server doesn't reply")
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// answers reports whether this server is running and has loaded its data. Another server may have
// its port.
func (s *Server) answers() bool {
	conn, err := net.DialTimeout("tcp", s.Addr(), patience)
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(patience))
	from := bufio.NewReader(conn)
	if password := s.password(); password != "" {
		if answer, err := ask(conn, from, "AUTH "+password); err != nil || answer != "+OK" {
			return false
		}
	}
	if answer, err := ask(conn, from, "PING"); err != nil || answer != "+PONG" {
		return false
	}
	if _, err := ask(conn, from, "INFO server"); err != nil {
		return false
	}
	for {
		line, err := from.ReadString('\n')
		if err != nil {
			return false
		}
		if pid, ok := strings.CutPrefix(strings.TrimSpace(line), "process_id:"); ok {
			return pid == strconv.Itoa(s.process.Process.Pid)
		}
	}
}

// ask sends an inline command, and returns the first line of the reply.
func ask(conn net.Conn, from *bufio.Reader, command string) (answer string, err error) {
	if _, err := io.WriteString(conn, command+"\r\n"); err != nil {
		return "", err
	}
	answer, err = from.ReadString('\n')
	return strings.TrimSpace(answer), err
}

// Addr returns the host and port.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// URL returns the URL for redisstore.Open, without a password.
func (s *Server) URL() string { return "redis://" + s.Addr() }

// Stop shuts the server down, so that it saves its data, and waits until it has ended.
func (s *Server) Stop() { s.end(os.Interrupt) }

// Kill kills the server. The next Restart finds what was on disk.
func (s *Server) Kill() { s.end(os.Kill) }

func (s *Server) end(how os.Signal) {
	s.t.Helper()
	if s.process == nil {
		return
	}
	s.disconnect()
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
func (s *Server) Restart() {
	s.t.Helper()
	require.Nil(s.t, s.process, "the server runs")
	require.NoError(s.t, s.run())
}

// Pause suspends the process: connections stay open, but the server doesn't reply. Resume continues
// it; at the end of the test it is killed.
func (s *Server) Pause() { s.signal(pause) }

// Resume continues a paused server.
func (s *Server) Resume() { s.signal(resume) }

func (s *Server) signal(how os.Signal) {
	s.t.Helper()
	require.NotNil(s.t, s.process, "the server doesn't run")
	require.NoError(s.t, s.process.Process.Signal(how))
}

// Do executes a command and returns the reply, which must not be an error.
func (s *Server) Do(command ...string) rueidis.RedisMessage {
	s.t.Helper()
	answer, err := s.try(command...)
	require.NoError(s.t, err, "%v", command)
	return answer
}

// try retries once on a new connection, because a failover closes connections.
func (s *Server) try(command ...string) (rueidis.RedisMessage, error) {
	reply, err := s.tryOnce(command...)
	if err == nil {
		return reply, nil
	}
	if _, ok := rueidis.IsRedisErr(err); ok {
		return reply, err
	}
	s.disconnect()
	return s.tryOnce(command...)
}

func (s *Server) tryOnce(command ...string) (rueidis.RedisMessage, error) {
	client, err := s.connect()
	if err != nil {
		return rueidis.RedisMessage{}, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.t.Context()), patience)
	defer cancel()
	return client.Do(ctx, client.B().Arbitrary(command...).Build()).ToMessage()
}

// connect returns the client of Do. It is closed when the server ends.
func (s *Server) connect() (rueidis.Client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client != nil {
		return s.client, nil
	}
	client, err := rueidis.NewClient(rueidis.ClientOption{
		InitAddress: []string{s.Addr()}, Password: s.password(), ForceSingleClient: true, DisableCache: true,
		PipelineMultiplex: -1, ReadBufferEachConn: 16 << 10, WriteBufferEachConn: 16 << 10,
	})
	if err == nil {
		s.client = client
	}
	return client, err
}

func (s *Server) disconnect() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client != nil {
		s.client.Close()
		s.client = nil
	}
}

func (s *Server) text(command ...string) (string, error) {
	answer, err := s.try(command...)
	if err != nil {
		return "", err
	}
	return answer.ToString()
}

// password returns the password in the configuration.
func (s *Server) password() string {
	for _, line := range s.config {
		if password, ok := strings.CutPrefix(line, "requirepass "); ok {
			return password
		}
	}
	return ""
}

// Info returns the fields of a section of INFO, such as "memory" or "commandstats".
func (s *Server) Info(section string) map[string]string {
	s.t.Helper()
	answer := s.Do("INFO", section)
	text, err := answer.ToString()
	require.NoError(s.t, err)
	fields := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			fields[name] = value
		}
	}
	return fields
}
