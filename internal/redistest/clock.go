package redistest

import (
	"bufio"
	"net"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/internal/testclock"
)

// Clock starts a Clock that is controlled by PINGs to the server: on a busy machine it runs as
// slowly as the server and this process do. It stops for good when the server ends, and pauses
// while the server is paused.
func (s *Server) Clock() *testclock.Clock {
	s.t.Helper()
	conn, err := net.DialTimeout("tcp", s.Addr(), patience)
	require.NoError(s.t, err)
	from := bufio.NewReader(conn)
	clock := testclock.Start(s.t, func() error {
		_, err := ask(conn, from, "PING")
		return err
	})
	s.t.Cleanup(func() { _ = conn.Close() }) // before the cleanup of the clock, because it ends a blocked PING
	return clock
}
