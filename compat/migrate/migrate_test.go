package migrate

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"testing"
	"testing/synctest"

	"github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"
	"github.com/gin-contrib/sessions/cookie"
	"github.com/gin-gonic/gin"
	"github.com/gorilla/sessions"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/bridgetest"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.ReleaseMode)
	goleak.VerifyTestMain(m)
}

var key = []byte("a key of 32 bytes for the cookies")

// The application does the same before, during and after the move.
func TestApplicationDoesTheSameAsBefore(t *testing.T) {
	newBridge := func(t *testing.T) *bridge.Bridge { return bridgetest.New(t, &bridge.Options{GorillaName: "app"}) }
	for name, newApp := range map[string]func(t *testing.T) http.Handler{
		"gorilla, before": func(*testing.T) http.Handler { return withGorilla(sessions.NewCookieStore(key)) },
		"gorilla, the store replaced": func(t *testing.T) http.Handler {
			b := newBridge(t)
			return b.Handler(withGorilla(b.Gorilla()))
		},
		"gorilla, after": func(t *testing.T) http.Handler { return withBridge(newBridge(t)) },
		"scs, before": func(t *testing.T) http.Handler {
			manager := scs.New()
			t.Cleanup(manager.Store.(*memstore.MemStore).StopCleanup)
			return withSCS(manager)
		},
		"gin-contrib, before": func(*testing.T) http.Handler { return withGinContrib(cookie.NewStore(key)) },
		"gin-contrib, the store replaced": func(t *testing.T) http.Handler {
			b := newBridge(t)
			return b.Handler(withGinContrib(ginStore{b.Gorilla()}))
		},
		"gin-contrib, after": func(t *testing.T) http.Handler { return ginWithBridge(newBridge(t)) },
		"Socket.IO, after":   func(t *testing.T) http.Handler { return afterSocketIO(newBridge(t)) },
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(newApp(t))
			defer server.Close()
			jar, err := cookiejar.New(nil)
			require.NoError(t, err)
			client := server.Client()
			client.Jar = jar
			visited := func() string {
				res, err := client.Get(server.URL)
				require.NoError(t, err)
				defer res.Body.Close()
				body, err := io.ReadAll(res.Body)
				require.NoError(t, err)
				return string(body)
			}
			post := func(path string, form url.Values) {
				res, err := client.PostForm(server.URL+path, form)
				require.NoError(t, err)
				defer res.Body.Close()
				require.Equal(t, http.StatusOK, res.StatusCode)
			}
			require.Equal(t, `"" 1`, visited())
			post("/login", url.Values{"user": {"ada"}})
			require.Equal(t, `"ada" 2`, visited())
			require.Equal(t, `"ada" 3`, visited())
			post("/logout", nil)
			require.Equal(t, `"" 1`, visited())
		})
	}
}

// Rooms for a user, and a logout that reaches the sockets, take no code of the application's own.
func TestSocketsAfterTheMove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bridgetest.New(t, nil)
		c := bridgetest.NewClient(t, b, afterSocketIO(b))
		c.LogIn("ada")
		one, two := c.Dial("/ws", nil), c.Dial("/ws", nil)
		bridgetest.Advance(0) // both are registered
		one.Write("visit")
		require.Equal(t, `"\"ada\" 1"`, one.Read())
		require.JSONEq(t, `{"event": "visited", "data": "\"ada\" 1"}`, two.Read())
		bridgetest.Advance(0)
		require.Empty(t, one.Unread(), "the sender is left out")
		require.Equal(t, "1", c.PostForm("/kick/ada", nil).Expect(http.StatusOK).Body)
		one.ExpectClose(bridge.CodeDestroyed)
		two.ExpectClose(bridge.CodeDestroyed)
	})
}
