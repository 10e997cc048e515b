package guarantees_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// TestG4_DestroyReachesTheSockets: the sockets of this process, whichever way the session ends.
// Tests of other nodes are in test/nodes.
func TestG4_DestroyReachesTheSockets(t *testing.T) {
	for name, end := range map[string]func(t *testing.T, a *testkit.App, br *webclient.Browser, id string){
		"logout over HTTP":     func(_ *testing.T, _ *testkit.App, br *webclient.Browser, _ string) { br.OK("/logout") },
		"logout over a socket": func(_ *testing.T, _ *testkit.App, br *webclient.Browser, _ string) { br.Dial("/ws").Ask("logout") },
		"by ID": func(t *testing.T, a *testkit.App, _ *webclient.Browser, id string) {
			was, err := a.DestroyByID(t.Context(), id)
			require.NoError(t, err)
			require.True(t, was)
		},
		"by client ID": func(t *testing.T, a *testkit.App, _ *webclient.Browser, id string) {
			clientID, _ := a.ClientIDOf(id)
			was, err := a.DestroyByClientID(t.Context(), clientID)
			require.NoError(t, err)
			require.True(t, was)
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := testkit.NewApp(t, livestore.New(), nil)
			site := a.Serve(t)
			br, other := webclient.NewBrowser(t, site), webclient.NewBrowser(t, site)
			br.OK("/inc")
			other.OK("/inc")
			id := br.OK("/id")
			one, two, stranger := br.Dial("/ws"), br.Dial("/ws"), other.Dial("/ws")
			one.Ask("id")
			two.Ask("id")
			end(t, a, br, id)
			require.Equal(t, bridge.CodeDestroyed, one.Closed())
			require.Equal(t, bridge.CodeDestroyed, two.Closed())
			require.Equal(t, "2", stranger.Ask("inc"), "nobody else's")
		})
	}
}
