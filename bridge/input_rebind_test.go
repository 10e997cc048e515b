package bridge_test

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

func TestKeptConnectionStaysWithoutASession(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), &bridge.Options{OnSessionEnd: bridge.KeepConns})
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/inc")
	ws := br.Dial("/ws")
	require.Equal(t, "2", ws.Ask("inc"))
	br.OK("/logout")
	require.Equal(t, `""`, ws.Ask("id"))
	require.Contains(t, ws.Ask("inc"), bridge.ErrSessionMissing.Error(), "onMissing applies")
}

func TestReconnectSendsOlderConnectionsBack(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	br := webclient.NewBrowser(t, a.Serve(t))
	anonymous := br.Dial("/ws")
	require.Equal(t, `""`, anonymous.Ask("id"))
	br.OK("/inc") // the client's first session
	require.Equal(t, bridge.CodeReconnect, anonymous.Closed())
	ws := br.Dial("/ws")
	require.Equal(t, "2", ws.Ask("inc"))
	br.OK("/rotate")
	require.Equal(t, "3", ws.Ask("inc"), "a plain rotation keeps it")
	br.OK("/login?user=ada")
	require.Equal(t, bridge.CodeReconnect, ws.Closed())
	require.Equal(t, "4", br.Dial("/ws").Ask("inc"))
}

func TestFollowKeepsConnectionsOnTheClientsSession(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), &bridge.Options{Rebind: bridge.Follow, OnSessionEnd: bridge.KeepConns})
	br := webclient.NewBrowser(t, a.Serve(t))
	ws := br.Dial("/ws")
	require.Equal(t, `""`, ws.Ask("id"))
	br.OK("/inc")
	first := br.OK("/id")
	require.Equal(t, strconv.Quote(first), ws.Ask("id"))
	require.Equal(t, "2", ws.Ask("inc"))
	br.OK("/login?user=ada")
	require.Equal(t, "3", ws.Ask("inc"), "through a login")
	br.OK("/logout")
	require.Equal(t, `""`, ws.Ask("id"))
	require.Equal(t, "1", br.OK("/inc"))
	second := br.OK("/id")
	require.NotEqual(t, first, second)
	require.Equal(t, strconv.Quote(second), ws.Ask("id"))
	require.Equal(t, "2", ws.Ask("inc"), "to the client's next session")
	stranger := webclient.NewBrowser(t, a.Serve(t))
	stranger.OK("/inc")
	require.Equal(t, "3", ws.Ask("inc"), "but not to another client's")
}
