package nodes_test

import (
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/redistest"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
	"github.com/sessionbridge/sessionbridge/internal/testkit/endtoend"
	"github.com/sessionbridge/sessionbridge/redisstore"
)

// onRedis starts an application with the same keys as the others and connections of its own, like
// another process.
func onRedis(t *testing.T, url string, keys [][]byte) *endtoend.App {
	t.Helper()
	st, err := redisstore.Open(t.Context(), url, nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, st.Close()) })
	return endtoend.Start(t, st, &bridge.Options{Keys: keys})
}

// TestG1_ConcurrentIncrementsOfProcesses: over HTTP and sockets, at two processes that share a
// Redis.
func TestG1_ConcurrentIncrementsOfProcesses(t *testing.T) {
	const each = 10
	s := redistest.Start(t)
	keys := [][]byte{endtoend.NewKey()}
	here, there := onRedis(t, s.URL(), keys), onRedis(t, s.URL(), keys)
	ada := endtoend.NewBrowser(t, here)
	require.Equal(t, "1", ada.Get("/increment"))
	var all sync.WaitGroup
	for _, a := range []*endtoend.App{here, there} {
		br, ws := ada.Another().At(a), ada.Another().At(a).Dial()
		all.Go(func() {
			for range each {
				br.Get("/increment")
			}
		})
		all.Go(func() {
			for range each {
				ws.Ask("increment")
			}
		})
	}
	all.Wait()
	require.Equal(t, strconv.Itoa(4*each+2), ada.Get("/increment"))
}

// TestG2_NoResurrectionAcrossProcesses: a session that ends at one process is over at the other,
// for requests and for sockets.
func TestG2_NoResurrectionAcrossProcesses(t *testing.T) {
	s := redistest.Start(t)
	keys := [][]byte{endtoend.NewKey()}
	here, there := onRedis(t, s.URL(), keys), onRedis(t, s.URL(), keys)
	ada := endtoend.NewBrowser(t, here)
	ada.Get("/login?user=ada")
	phone := endtoend.NewBrowser(t, there)
	phone.Get("/login?user=ada")
	ws := ada.Another().At(there).Dial()
	require.Equal(t, "ada", ws.Ask("user"))

	require.Len(t, testkit.ListedIDs(t, there.Bridge, bridge.Filter{UserID: "ada"}), 2)
	n, err := here.Bridge.DestroyUser(t.Context(), "ada")
	require.NoError(t, err)
	require.Equal(t, 2, n)
	require.Empty(t, testkit.ListedIDs(t, there.Bridge, bridge.Filter{UserID: "ada"}))
	require.Empty(t, phone.Get("/user"))
	require.Equal(t, bridge.CodeDestroyed, ws.Closed())
}

// TestG9_RedisOutage: while Redis is away requests get 503 and never an anonymous session;
// afterwards everything is as before.
func TestG9_RedisOutage(t *testing.T) {
	t.Parallel() // on a Redis of its own, which it waits for
	s := redistest.Start(t, "appendonly yes", "appendfsync always")
	a := onRedis(t, s.URL(), [][]byte{endtoend.NewKey()})
	ada := endtoend.NewBrowser(t, a)
	ada.Get("/login?user=ada")
	s.Kill()
	res, err := ada.Do("/user")
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, 503, res.StatusCode)
	require.Empty(t, res.Header.Values("Set-Cookie"))
	s.Restart()
	require.Eventually(t, func() bool {
		user, err := ada.Try("/user")
		return err == nil && user == "ada"
	}, await.Limit, 20*time.Millisecond)
}
