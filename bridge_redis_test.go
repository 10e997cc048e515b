package sessionbridge_test

import (
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/redistest"
	"github.com/sessionbridge/sessionbridge/redisstore"
)

// onRedis starts an application like the others with the same keys, with connections of its own: another process.
func onRedis(t *testing.T, url string, keys [][]byte) *app {
	t.Helper()
	st, err := redisstore.Open(t.Context(), url, nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, st.Close()) })
	return start(t, st, &bridge.Options{Keys: keys})
}

// TestG1_ConcurrentIncrementsOfProcesses: over HTTP and sockets, at two processes that share a Redis.
func TestG1_ConcurrentIncrementsOfProcesses(t *testing.T) {
	const each = 10
	s := redistest.Start(t)
	keys := [][]byte{newKey()}
	here, there := onRedis(t, s.URL(), keys), onRedis(t, s.URL(), keys)
	ada := newBrowser(t, here)
	require.Equal(t, "1", ada.get("/increment"))
	var all sync.WaitGroup
	for _, a := range []*app{here, there} {
		br, ws := ada.another().at(a), ada.another().at(a).dial()
		all.Go(func() {
			for range each {
				br.get("/increment")
			}
		})
		all.Go(func() {
			for range each {
				ws.ask("increment")
			}
		})
	}
	all.Wait()
	require.Equal(t, strconv.Itoa(4*each+2), ada.get("/increment"))
}

// TestG2_NoResurrectionAcrossProcesses: what ends at one is over at the other, for requests and for sockets.
func TestG2_NoResurrectionAcrossProcesses(t *testing.T) {
	s := redistest.Start(t)
	keys := [][]byte{newKey()}
	here, there := onRedis(t, s.URL(), keys), onRedis(t, s.URL(), keys)
	ada := newBrowser(t, here)
	ada.get("/login?user=ada")
	phone := newBrowser(t, there)
	phone.get("/login?user=ada")
	ws := ada.another().at(there).dial()
	require.Equal(t, "ada", ws.ask("user"))

	require.Len(t, listed(t, there.bridge, "ada"), 2)
	n, err := here.bridge.DestroyUser(t.Context(), "ada")
	require.NoError(t, err)
	require.Equal(t, 2, n)
	require.Empty(t, listed(t, there.bridge, "ada"))
	require.Empty(t, phone.get("/user"))
	require.Equal(t, bridge.CodeDestroyed, ws.closed())
}

// TestG9_RedisOutage: while Redis is away requests get 503 and nobody is anonymous; afterwards all is as it was.
func TestG9_RedisOutage(t *testing.T) {
	t.Parallel() // on a Redis of its own, which it waits for
	s := redistest.Start(t, "appendonly yes", "appendfsync always")
	a := onRedis(t, s.URL(), [][]byte{newKey()})
	ada := newBrowser(t, a)
	ada.get("/login?user=ada")
	s.Kill()
	res, err := ada.do("/user")
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, 503, res.StatusCode)
	require.Empty(t, res.Header.Values("Set-Cookie"))
	s.Restart()
	require.Eventually(t, func() bool {
		user, err := ada.try("/user")
		return err == nil && user == "ada"
	}, patience, 20*time.Millisecond)
}
