package peers_test

import (
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/filestore"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/endtoend"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

// stores returns the stores of this module, each with room for several applications.
func stores(t *testing.T) map[string]store.Namespacer {
	t.Helper()
	file, err := filestore.Open(filepath.Join(t.TempDir(), "sessions.db"), nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, file.Close()) })
	return map[string]store.Namespacer{"in memory": livestore.New(), "in a file": file}
}

// TestPeerRedisSessions_AppsOfOneStoreAreIsolated: two applications with one store, one name for
// their cookies and one key share nothing, and what ends all of one leaves the other as it is.
func TestPeerRedisSessions_AppsOfOneStoreAreIsolated(t *testing.T) {
	for name, st := range stores(t) {
		t.Run(name, func(t *testing.T) {
			keys := [][]byte{endtoend.NewKey()}
			shop := endtoend.Start(t, st.App("shop"), &bridge.Options{Keys: keys})
			blog := endtoend.Start(t, st.App("blog"), &bridge.Options{Keys: keys})
			tickets(shop)
			tickets(blog)
			ada, bob, adaToo := endtoend.NewBrowser(t, shop), endtoend.NewBrowser(t, shop), endtoend.NewBrowser(t, blog)
			for _, br := range []*endtoend.Browser{ada, bob, adaToo} {
				br.Get("/increment")
			}
			ada.Get("/login?user=ada")
			bob.Get("/login?user=bob")
			adaToo.Get("/login?user=ada")
			inShop, inBlog := ada.Get("/id"), adaToo.Get("/id")

			require.Len(t, testkit.ListedIDs(t, shop.Bridge, bridge.Filter{}), 2)
			require.Equal(t, []string{inBlog}, testkit.ListedIDs(t, blog.Bridge, bridge.Filter{}))
			require.Equal(t, []string{inShop}, testkit.ListedIDs(t, shop.Bridge, bridge.Filter{UserID: "ada"}))
			activity, err := shop.Bridge.Activity(t.Context(), time.Hour)
			require.NoError(t, err)
			require.Equal(t, bridge.Activity{Users: 2, Sessions: 2}, activity)

			stranger := ada.Another().At(blog) // brings the shop's cookies to the blog
			require.Empty(t, stranger.Get("/user"))
			require.Equal(t, "0", stranger.Get("/count"))
			_, err = blog.Bridge.GetByID(t.Context(), inShop)
			require.ErrorIs(t, err, bridge.ErrSessionMissing)
			was, err := blog.Bridge.DestroyByID(t.Context(), inShop)
			require.NoError(t, err)
			require.False(t, was)
			require.False(t, admits(t, blog, ada.Get("/ticket")), "a ticket is the application's, too")
			require.True(t, admits(t, shop, ada.Get("/ticket")))

			tab, tabToo := bob.Dial(), adaToo.Dial()
			require.Equal(t, "bob", tab.Ask("user"))
			require.Equal(t, "ada", tabToo.Ask("user"))
			n, err := shop.Bridge.DestroyAll(t.Context())
			require.NoError(t, err)
			require.Equal(t, 2, n)
			require.Equal(t, bridge.CodeDestroyed, tab.Closed())
			require.Equal(t, "2", tabToo.Ask("increment"))
			require.Equal(t, "ada", adaToo.Get("/user"))
			require.Equal(t, []string{inBlog}, testkit.ListedIDs(t, blog.Bridge, bridge.Filter{}))
		})
	}
}

// tickets adds a page that hands out a ticket for a handshake.
func tickets(a *endtoend.App) {
	a.Mux.HandleFunc("/ticket", func(w http.ResponseWriter, r *http.Request) {
		endtoend.Answer(w, func() (string, error) { return a.Bridge.Ticket(r) })
	})
}

// admits reports whether the ticket opens a socket.
func admits(t *testing.T, a *endtoend.App, ticket string) bool {
	t.Helper()
	ws, _, err := websocket.Dial(t.Context(), a.Server.URL+"/socket", &websocket.DialOptions{
		HTTPClient: a.Server.Client(), Subprotocols: []string{bridge.Subprotocol, bridge.Subprotocol + ".ticket." + ticket},
	})
	if err != nil {
		return false
	}
	require.NoError(t, ws.CloseNow())
	return true
}
