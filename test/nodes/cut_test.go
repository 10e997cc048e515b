package nodes_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/redistest"
	"github.com/sessionbridge/sessionbridge/internal/testclock"
	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
	"github.com/sessionbridge/sessionbridge/internal/testkit/endtoend"
)

// TestG4_WithoutNotifications: a node receives no pushes of Redis, although commands work. If
// another node destroys a session, or its user logs in there, the node's sockets are closed within
// five seconds nevertheless, and the node reports that it isn't healthy.
func TestG4_WithoutNotifications(t *testing.T) {
	t.Parallel() // on a Redis of its own, which it waits for
	s := redistest.Start(t)
	cut := redistest.StartProxy(t, s)
	keys := [][]byte{endtoend.NewKey()}
	here, there := onRedis(t, s.URL(), keys), onRedis(t, cut.URL(), keys)
	ada, bob, eve := endtoend.NewBrowser(t, here), endtoend.NewBrowser(t, here), endtoend.NewBrowser(t, here)
	ada.Get("/login?user=ada")
	bob.Get("/increment")
	eve.Get("/increment")
	tab, older := ada.Another().At(there).Dial(), bob.Another().At(there).Dial()
	require.Equal(t, "ada", tab.Ask("user"))
	require.Equal(t, "2", older.Ask("increment"))
	require.Eventually(t, func() bool { return there.Bridge.Stats().Healthy }, await.Limit, 10*time.Millisecond)

	cut.DropPushes()
	require.Eventually(t, func() bool { return !there.Bridge.Stats().Healthy }, await.Limit, 10*time.Millisecond)
	require.True(t, here.Bridge.Stats().Healthy)
	eveThere := eve.Another().At(there)
	clock := testclock.Start(t, func() error { // a request to each of the servers, of which one reaches Redis through the proxy
		_, err := eve.Try("/user")
		if err == nil {
			_, err = eveThere.Try("/user")
		}
		return err
	})
	within := func(what string, do func()) {
		from := clock.Elapsed()
		do()
		require.Less(t, clock.Elapsed()-from, 5*time.Second, what)
	}
	n, err := here.Bridge.DestroyUser(t.Context(), "ada")
	require.NoError(t, err)
	require.Equal(t, 1, n)
	within("a session's end", func() { require.Equal(t, bridge.CodeDestroyed, tab.Closed()) })
	bob.Get("/login?user=bob")
	within("a login", func() { require.Equal(t, bridge.CodeReconnect, older.Closed()) })

	cut.PassPushes()
	require.Eventually(t, func() bool { return there.Bridge.Stats().Healthy }, await.Limit, 10*time.Millisecond)
}

// TestG9_RedisIsGone: sockets get errors, new ones are refused, and everything works again when
// Redis is back. No user was logged out, and nothing is lost.
func TestG9_RedisIsGone(t *testing.T) {
	t.Parallel() // on a Redis of its own, which it waits for
	s := redistest.Start(t, "appendonly yes", "appendfsync always")
	a := onRedis(t, s.URL(), [][]byte{endtoend.NewKey()})
	ada := endtoend.NewBrowser(t, a)
	ada.Get("/login?user=ada")
	tab := ada.Dial()
	require.Equal(t, "1", tab.Ask("increment"))
	s.Kill()
	_, res, err := websocket.Dial(t.Context(), ada.Base.String()+"/socket", &websocket.DialOptions{HTTPClient: ada.Client})
	require.Error(t, err)
	require.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
	require.NoError(t, tab.TrySay("increment"))
	require.Equal(t, bridge.CodeUnavailable, tab.Closed(), "its handler has returned the error")
	s.Restart()
	require.Eventually(t, func() bool {
		user, err := ada.Try("/user")
		return err == nil && user == "ada"
	}, await.Limit, 20*time.Millisecond)
	require.Equal(t, "2", ada.Dial().Ask("increment"))
}
