package pgtest

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// Shared is a server that the tests of a package share. The zero value is ready to use: the first
// test that needs the server starts it, and TestMain calls Stop.
type Shared struct {
	mu     sync.Mutex
	server *Server
	dir    string
	failed bool
}

// Server returns the server, which the test must not stop.
func (s *Shared) Server(t testing.TB) *Server {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.server == nil {
		require.False(t, s.failed, "the shared server didn't start")
		s.failed = true
		var err error
		s.dir, err = os.MkdirTemp("", "pgtest") //nolint:usetesting // it outlives the test
		require.NoError(t, err)
		require.NoError(t, os.Chmod(s.dir, 0o755)) //nolint:gosec // the user postgres enters it
		s.server = start(t, filepath.Clean(s.dir), nil)
		s.failed = false
	}
	return s.server
}

// Stop ends the server and removes its files.
func (s *Shared) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.server != nil {
		s.server.Kill()
		s.server = nil
	}
	if s.dir != "" {
		_ = os.RemoveAll(s.dir)
	}
}
