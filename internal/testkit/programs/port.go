package programs

import (
	"math/rand/v2"
	"net"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// The ports of servers. They are below the ephemeral ports: a client connection of any process
// could otherwise have a server's port while the server restarts.
const (
	firstPort = 16384
	ports     = 16384
)

// FreePort returns a port that is not in use.
func FreePort(t testing.TB) int {
	t.Helper()
	var err error
	for range 100 {
		port := firstPort + rand.IntN(ports) //nolint:gosec // no secret
		var l net.Listener
		if l, err = net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil {
			require.NoError(t, l.Close())
			return port
		}
	}
	require.NoError(t, err, "no free port")
	return 0
}
