package guarantees_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

func TestG5_NoSocketOutlivesAHandshakeRace_Destroy(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	var id string
	site := webclient.Serve(t, testkit.BetweenUpgrade(a.Handler(a.Mux), func() {
		was, err := a.DestroyByID(t.Context(), id)
		require.NoError(t, err)
		require.True(t, was)
	}))
	br := webclient.NewBrowser(t, site)
	br.OK("/inc")
	id = br.OK("/id")
	require.Equal(t, bridge.CodeDestroyed, br.Dial("/ws").Closed())
}

func TestG5_NoSocketOutlivesAHandshakeRace_KeptWithoutASession(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), &bridge.Options{OnSessionEnd: bridge.KeepConns})
	var id string
	site := webclient.Serve(t, testkit.BetweenUpgrade(a.Handler(a.Mux), func() { _, _ = a.DestroyByID(t.Context(), id) }))
	br := webclient.NewBrowser(t, site)
	br.OK("/inc")
	id = br.OK("/id")
	ws := br.Dial("/ws")
	require.Equal(t, `""`, ws.Ask("id"))
	require.Contains(t, ws.Ask("inc"), bridge.ErrSessionMissing.Error())
}

func TestG5_NoSocketOutlivesAHandshakeRace_Login(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	var login func()
	site := webclient.Serve(t, testkit.BetweenUpgrade(a.Handler(a.Mux), func() { login() }))
	br := webclient.NewBrowser(t, site)
	br.OK("/inc")
	login = func() { br.OK("/login?user=ada") }
	require.Equal(t, bridge.CodeReconnect, br.Dial("/ws").Closed(), "it has proved a token that opens nothing any more")
	login = func() {}
	require.Equal(t, "2", br.Dial("/ws").Ask("inc"))
}
