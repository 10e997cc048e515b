package bridge_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// TestG4_DestroyReachesTheSockets: those of this process, whichever way the session ends. (Other nodes are a matter of stores that
// processes share.)
func TestG4_DestroyReachesTheSockets(t *testing.T) {
	for name, end := range map[string]func(t *testing.T, a *app, br *browser, id string){
		"logout over HTTP":     func(_ *testing.T, _ *app, br *browser, _ string) { br.ok("/logout") },
		"logout over a socket": func(_ *testing.T, _ *app, br *browser, _ string) { br.dial("/ws").ask("logout") },
		"by ID": func(t *testing.T, a *app, _ *browser, id string) {
			was, err := a.DestroyByID(t.Context(), id)
			require.NoError(t, err)
			require.True(t, was)
		},
		"by client ID": func(t *testing.T, a *app, _ *browser, id string) {
			clientID, _ := a.ClientIDOf(id)
			was, err := a.DestroyByClientID(t.Context(), clientID)
			require.NoError(t, err)
			require.True(t, was)
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := makeApp(t, livestore.New(), nil)
			site := a.serve(t)
			br, other := newBrowser(t, site), newBrowser(t, site)
			br.ok("/inc")
			other.ok("/inc")
			id := br.ok("/id")
			one, two, stranger := br.dial("/ws"), br.dial("/ws"), other.dial("/ws")
			one.ask("id")
			two.ask("id")
			end(t, a, br, id)
			require.Equal(t, bridge.CodeDestroyed, one.closed())
			require.Equal(t, bridge.CodeDestroyed, two.closed())
			require.Equal(t, "2", stranger.ask("inc"), "nobody else's")
		})
	}
}
