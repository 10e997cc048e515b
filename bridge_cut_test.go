package sessionbridge_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/redistest"
	"github.com/sessionbridge/sessionbridge/internal/testclock"
)

// TestG4_WithoutNotifications: what Redis would push doesn't arrive at a node, although commands do. A session that another node destroys, or whose user
// logs in there, is over at its sockets within five seconds all the same, and the node says that it isn't well.
func TestG4_WithoutNotifications(t *testing.T) {
	t.Parallel() // on a Redis of its own, which it waits for
	s := redistest.Start(t)
	cut := redistest.StartProxy(t, s)
	keys := [][]byte{newKey()}
	here, there := onRedis(t, s.URL(), keys), onRedis(t, cut.URL(), keys)
	ada, bob, eve := newBrowser(t, here), newBrowser(t, here), newBrowser(t, here)
	ada.get("/login?user=ada")
	bob.get("/increment")
	eve.get("/increment")
	tab, older := ada.another().at(there).dial(), bob.another().at(there).dial()
	require.Equal(t, "ada", tab.ask("user"))
	require.Equal(t, "2", older.ask("increment"))
	require.Eventually(t, func() bool { return there.bridge.Stats().Healthy }, patience, 10*time.Millisecond)

	cut.DropPushes()
	require.Eventually(t, func() bool { return !there.bridge.Stats().Healthy }, patience, 10*time.Millisecond)
	require.True(t, here.bridge.Stats().Healthy)
	eveThere := eve.another().at(there)
	clock := testclock.Start(t, func() error { // a request to each of the servers, of which one reaches Redis through the proxy
		_, err := eve.try("/user")
		if err == nil {
			_, err = eveThere.try("/user")
		}
		return err
	})
	within := func(what string, do func()) {
		from := clock.Elapsed()
		do()
		require.Less(t, clock.Elapsed()-from, 5*time.Second, what)
	}
	n, err := here.bridge.DestroyUser(t.Context(), "ada")
	require.NoError(t, err)
	require.Equal(t, 1, n)
	within("a session's end", func() { require.Equal(t, bridge.CodeDestroyed, tab.closed()) })
	bob.get("/login?user=bob")
	within("a login", func() { require.Equal(t, bridge.CodeReconnect, older.closed()) })

	cut.PassPushes()
	require.Eventually(t, func() bool { return there.bridge.Stats().Healthy }, patience, 10*time.Millisecond)
}

// TestG9_RedisIsGone: sockets say so, new ones are refused, and all goes on when it is back. Nobody has been logged out, and nothing is lost.
func TestG9_RedisIsGone(t *testing.T) {
	t.Parallel() // on a Redis of its own, which it waits for
	s := redistest.Start(t, "appendonly yes", "appendfsync always")
	a := onRedis(t, s.URL(), [][]byte{newKey()})
	ada := newBrowser(t, a)
	ada.get("/login?user=ada")
	tab := ada.dial()
	require.Equal(t, "1", tab.ask("increment"))
	s.Kill()
	_, res, err := websocket.Dial(t.Context(), ada.url+"/socket", &websocket.DialOptions{HTTPClient: ada.client})
	require.Error(t, err)
	require.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
	require.NoError(t, tab.trySay("increment"))
	require.Equal(t, bridge.CodeUnavailable, tab.closed(), "its handler has returned the error")
	s.Restart()
	require.Eventually(t, func() bool {
		user, err := ada.try("/user")
		return err == nil && user == "ada"
	}, patience, 20*time.Millisecond)
	require.Equal(t, "2", ada.dial().ask("increment"))
}
