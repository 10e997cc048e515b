package migrate

import (
	"context"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

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

// client is a browser at an application.
type client struct {
	*http.Client
	t      *testing.T
	server *httptest.Server
}

func newClient(t *testing.T, app http.Handler) *client {
	t.Helper()
	server := httptest.NewServer(nil)
	t.Cleanup(server.Close)
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	c := &client{server.Client(), t, server}
	c.Jar = jar
	c.moveTo(app)
	return c
}

// moveTo replaces the application. The client keeps its cookies.
func (c *client) moveTo(app http.Handler) { c.server.Config.Handler = app }

// visit returns the page.
func (c *client) visit() string {
	c.t.Helper()
	res, err := c.Get(c.server.URL)
	require.NoError(c.t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(c.t, err)
	return string(body)
}

func (c *client) post(path string, form url.Values) {
	c.t.Helper()
	res, err := c.PostForm(c.server.URL+path, form)
	require.NoError(c.t, err)
	defer res.Body.Close()
	require.Equal(c.t, http.StatusOK, res.StatusCode)
}

func (c *client) logIn(user string) { c.t.Helper(); c.post("/login", url.Values{"user": {user}}) }

// The application does the same before, during and after the move.
func TestApplicationDoesTheSameAsBefore(t *testing.T) {
	freshBridge := func(t *testing.T) *bridge.Bridge { return bridgetest.New(t, &bridge.Options{GorillaName: "app"}) }
	for name, newApp := range map[string]func(t *testing.T) http.Handler{
		"gorilla, before": func(*testing.T) http.Handler { return withGorilla(sessions.NewCookieStore(key)) },
		"gorilla, the store replaced": func(t *testing.T) http.Handler {
			b := freshBridge(t)
			return b.Handler(withGorilla(b.Gorilla()))
		},
		"gorilla, the login replaced": func(t *testing.T) http.Handler { return withNewLogin(freshBridge(t)) },
		"gorilla, after":              func(t *testing.T) http.Handler { return withBridge(freshBridge(t)) },
		"scs, before": func(*testing.T) http.Handler {
			return withSCS(&scs.SessionManager{ // scs.New starts a goroutine, whose end is a data race
				Lifetime: time.Hour, Store: memstore.NewWithCleanupInterval(0), Codec: scs.GobCodec{},
				Cookie: scs.SessionCookie{Name: "session", Path: "/", Persist: true},
			})
		},
		"gin-contrib, before": func(*testing.T) http.Handler { return withGinContrib(cookie.NewStore(key)) },
		"gin-contrib, the store replaced": func(t *testing.T) http.Handler {
			b := freshBridge(t)
			return b.Handler(withGinContrib(ginStore{b.Gorilla()}))
		},
		"gin-contrib, the login replaced": func(t *testing.T) http.Handler { return ginWithNewLogin(freshBridge(t)) },
		"gin-contrib, after":              func(t *testing.T) http.Handler { return ginWithBridge(freshBridge(t)) },
		"Socket.IO, after":                func(t *testing.T) http.Handler { return afterSocketIO(freshBridge(t)) },
	} {
		t.Run(name, func(t *testing.T) {
			c := newClient(t, newApp(t))
			require.Equal(t, `"" 1`, c.visit())
			c.logIn("ada")
			require.Equal(t, `"ada" 2`, c.visit())
			require.Equal(t, `"ada" 3`, c.visit())
			c.post("/logout", nil)
			require.Equal(t, `"" 1`, c.visit())
		})
	}
}

// A user who was logged in before the move stays logged in. After a login of another user in the same
// browser no handler shows the first one, or values of the first one.
func TestAnotherUserLogsInDuringTheMove(t *testing.T) {
	for name, app := range map[string]struct {
		before func() http.Handler
		during func(*bridge.Bridge) http.Handler
		after  func(*bridge.Bridge) http.Handler
	}{
		"gorilla": {
			before: func() http.Handler { return withGorilla(sessions.NewCookieStore(key)) },
			during: withNewLogin,
			after:  withBridge,
		},
		"gin-contrib": {
			before: func() http.Handler { return withGinContrib(cookie.NewStore(key)) },
			during: ginWithNewLogin,
			after:  ginWithBridge,
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newClient(t, app.before())
			c.logIn("ada")
			require.Equal(t, `"ada" 1`, c.visit())

			b, err := newBridge(sessions.NewCookieStore(key))
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, b.Shutdown(context.WithoutCancel(t.Context()))) })
			requireUser := func(user string) {
				t.Helper()
				users := map[string]bool{}
				for info, err := range b.Sessions(t.Context(), bridge.Filter{}) {
					require.NoError(t, err)
					users[info.UserID] = true
				}
				require.Equal(t, map[string]bool{user: true}, users)
			}
			c.moveTo(app.during(b))
			require.Equal(t, `"ada" 2`, c.visit())
			requireUser("ada")
			c.logIn("bob")
			require.Equal(t, `"bob" 1`, c.visit())
			requireUser("bob")
			c.moveTo(app.after(b))
			require.Equal(t, `"bob" 2`, c.visit())
			c.logIn("ada")
			require.Equal(t, `"ada" 1`, c.visit())
			c.post("/logout", nil)
			require.Equal(t, `"" 1`, c.visit())
			requireUser("")
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
