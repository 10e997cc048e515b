package bridge_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// The addresses of gRPC's peers, of an http.Request and of MQTT brokers have a port.
func TestAddressesWithoutARequestAreThoseOfRequests(t *testing.T) {
	for _, policy := range []bridge.RecordPolicy{bridge.RecordFull, bridge.RecordNetwork} {
		a := testkit.NewApp(t, livestore.New(), &bridge.Options{RecordAddr: policy})
		for given, want := range map[string][2]string{
			"":                      {"", ""},
			"192.0.2.7":             {"192.0.2.7", "192.0.2.0/24"},
			"192.0.2.7:5060":        {"192.0.2.7", "192.0.2.0/24"},
			"[::ffff:192.0.2.7]:99": {"192.0.2.7", "192.0.2.0/24"},
			"2001:db8:1:2::7":       {"2001:db8:1:2::7", "2001:db8:1::/48"},
			"[fe80::1%eth0]:99":     {"fe80::1", "fe80::/48"},
			"fe80::1%eth0":          {"fe80::1", "fe80::/48"},
		} {
			recorded := want[0]
			if policy == bridge.RecordNetwork {
				recorded = want[1]
			}
			c := create(t, a.Bridge, bridge.NewSession{Addr: given})
			info, err := a.Info(t.Context(), c.SessionID)
			require.NoError(t, err)
			require.Equal(t, recorded, info.Addr, given)
			d := attachDevice(t, a, bridge.Remote{Addr: given, Lease: time.Hour})
			listed, err := a.Conn(t.Context(), d.ID())
			require.NoError(t, err)
			require.Equal(t, recorded, listed.Addr, given)
			d.Detach()
		}
	}
}

func TestPortsOfARemoteAreOneAddress(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), &bridge.Options{MaxConnsPerAddr: 1})
	attachDevice(t, a, bridge.Remote{Addr: "192.0.2.7:1", Lease: time.Hour})
	_, err := a.AttachRemote(t.Context(), bridge.Remote{Addr: "192.0.2.7:2", Lease: time.Hour})
	require.ErrorIs(t, err, bridge.ErrTooManyAddrConns)
}

func TestAddressesThatAreNone(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	for _, bad := range []string{"somewhere", "example.com:80", "192.0.2.7:x", "192.0.2.0/24", "@", strings.Repeat("x", 1<<20)} {
		_, err := a.Create(t.Context(), bridge.NewSession{Addr: bad})
		require.ErrorContains(t, err, "NewSession.Addr")
		require.Less(t, len(err.Error()), 300)
		_, err = a.AttachRemote(t.Context(), bridge.Remote{Addr: bad, Lease: time.Hour})
		require.ErrorContains(t, err, "Remote.Addr")
	}
}
