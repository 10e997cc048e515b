package sessionbridge_test

import (
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/filestore"
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

// TestPeerRedisSessions_AppsOfOneStoreAreIsolated: two applications with one store, one name for their cookies and one key share nothing, and what ends all
// of one leaves the other as it is.
func TestPeerRedisSessions_AppsOfOneStoreAreIsolated(t *testing.T) {
	for name, st := range stores(t) {
		t.Run(name, func(t *testing.T) {
			keys := [][]byte{newKey()}
			shop := start(t, st.App("shop"), &bridge.Options{Keys: keys})
			blog := start(t, st.App("blog"), &bridge.Options{Keys: keys})
			tickets(shop)
			tickets(blog)
			ada, bob, adaToo := newBrowser(t, shop), newBrowser(t, shop), newBrowser(t, blog)
			for _, br := range []*browser{ada, bob, adaToo} {
				br.get("/increment")
			}
			ada.get("/login?user=ada")
			bob.get("/login?user=bob")
			adaToo.get("/login?user=ada")
			inShop, inBlog := ada.get("/id"), adaToo.get("/id")

			require.Len(t, listed(t, shop.bridge, ""), 2)
			require.Equal(t, []string{inBlog}, listed(t, blog.bridge, ""))
			require.Equal(t, []string{inShop}, listed(t, shop.bridge, "ada"))
			activity, err := shop.bridge.Activity(t.Context(), time.Hour)
			require.NoError(t, err)
			require.Equal(t, bridge.Activity{Users: 2, Sessions: 2}, activity)

			stranger := ada.another().at(blog) // brings the shop's cookies to the blog
			require.Empty(t, stranger.get("/user"))
			require.Equal(t, "0", stranger.get("/count"))
			_, err = blog.bridge.GetByID(t.Context(), inShop)
			require.ErrorIs(t, err, bridge.ErrSessionMissing)
			was, err := blog.bridge.DestroyByID(t.Context(), inShop)
			require.NoError(t, err)
			require.False(t, was)
			require.False(t, admits(t, blog, ada.get("/ticket")), "a ticket is the application's, too")
			require.True(t, admits(t, shop, ada.get("/ticket")))

			tab, tabToo := bob.dial(), adaToo.dial()
			require.Equal(t, "bob", tab.ask("user"))
			require.Equal(t, "ada", tabToo.ask("user"))
			n, err := shop.bridge.DestroyAll(t.Context())
			require.NoError(t, err)
			require.Equal(t, 2, n)
			require.Equal(t, bridge.CodeDestroyed, tab.closed())
			require.Equal(t, "2", tabToo.ask("increment"))
			require.Equal(t, "ada", adaToo.get("/user"))
			require.Equal(t, []string{inBlog}, listed(t, blog.bridge, ""))
		})
	}
}

// tickets adds a page that hands out a ticket for a handshake.
func tickets(a *app) {
	a.mux.HandleFunc("/ticket", func(w http.ResponseWriter, r *http.Request) {
		answer(w, func() (string, error) { return a.bridge.Ticket(r) })
	})
}

// admits reports whether the ticket opens a socket.
func admits(t *testing.T, a *app, ticket string) bool {
	t.Helper()
	ws, _, err := websocket.Dial(t.Context(), a.server.URL+"/socket", &websocket.DialOptions{
		HTTPClient: a.server.Client(), Subprotocols: []string{bridge.Subprotocol, bridge.Subprotocol + ".ticket." + ticket},
	})
	if err != nil {
		return false
	}
	require.NoError(t, ws.CloseNow())
	return true
}
