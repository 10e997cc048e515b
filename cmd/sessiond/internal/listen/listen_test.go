package listen_test

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/cmd/sessiond/internal/listen"
)

// The sockets of systemd are tested with the program (cmd/sessiond).
func TestAddresses(t *testing.T) {
	all, err := listen.Open(t.Context(), listen.Place{Name: "a", Addr: "127.0.0.1:0"}, listen.Place{Name: "b", Addr: "127.0.0.1:0"})
	require.NoError(t, err)
	require.Len(t, all, 2)
	defer all[0].Close()
	defer all[1].Close()

	taken := all[0].Addr().String()
	_, err = listen.Open(t.Context(), listen.Place{Name: "a", Addr: "127.0.0.1:0"}, listen.Place{Name: "b", Addr: taken})
	require.ErrorContains(t, err, taken)
	_, err = listen.Open(t.Context(), listen.Place{Name: "a", Addr: "nowhere"})
	var wrong *net.OpError
	require.ErrorAs(t, err, &wrong)
}
