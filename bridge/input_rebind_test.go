package bridge_test

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

func TestKeptConnectionStaysWithoutASession(t *testing.T) {
	a := makeApp(t, livestore.New(), &bridge.Options{OnSessionEnd: bridge.KeepConns})
	br := newBrowser(t, a.serve(t))
	br.ok("/inc")
	ws := br.dial("/ws")
	require.Equal(t, "2", ws.ask("inc"))
	br.ok("/logout")
	require.Equal(t, `""`, ws.ask("id"))
	require.Contains(t, ws.ask("inc"), bridge.ErrSessionMissing.Error(), "onMissing applies")
}

func TestReconnectSendsOlderConnectionsBack(t *testing.T) {
	a := makeApp(t, livestore.New(), nil)
	br := newBrowser(t, a.serve(t))
	anonymous := br.dial("/ws")
	require.Equal(t, `""`, anonymous.ask("id"))
	br.ok("/inc") // the client's first session
	require.Equal(t, bridge.CodeReconnect, anonymous.closed())
	ws := br.dial("/ws")
	require.Equal(t, "2", ws.ask("inc"))
	br.ok("/rotate")
	require.Equal(t, "3", ws.ask("inc"), "a plain rotation keeps it")
	br.ok("/login?user=ada")
	require.Equal(t, bridge.CodeReconnect, ws.closed())
	require.Equal(t, "4", br.dial("/ws").ask("inc"))
}

func TestFollowKeepsConnectionsOnTheClientsSession(t *testing.T) {
	a := makeApp(t, livestore.New(), &bridge.Options{Rebind: bridge.Follow, OnSessionEnd: bridge.KeepConns})
	br := newBrowser(t, a.serve(t))
	ws := br.dial("/ws")
	require.Equal(t, `""`, ws.ask("id"))
	br.ok("/inc")
	first := br.ok("/id")
	require.Equal(t, strconv.Quote(first), ws.ask("id"))
	require.Equal(t, "2", ws.ask("inc"))
	br.ok("/login?user=ada")
	require.Equal(t, "3", ws.ask("inc"), "through a login")
	br.ok("/logout")
	require.Equal(t, `""`, ws.ask("id"))
	require.Equal(t, "1", br.ok("/inc"))
	second := br.ok("/id")
	require.NotEqual(t, first, second)
	require.Equal(t, strconv.Quote(second), ws.ask("id"))
	require.Equal(t, "2", ws.ask("inc"), "to the client's next session")
	stranger := newBrowser(t, a.serve(t))
	stranger.ok("/inc")
	require.Equal(t, "3", ws.ask("inc"), "but not to another client's")
}
