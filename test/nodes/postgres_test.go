package nodes_test

import (
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/pgtest"
	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
	"github.com/sessionbridge/sessionbridge/internal/testkit/endtoend"
	"github.com/sessionbridge/sessionbridge/pgstore"
)

// onPostgres starts an application with the same keys as the others and connections of its own, like
// another process.
func onPostgres(t *testing.T, url string, keys [][]byte) *endtoend.App {
	t.Helper()
	st, err := pgstore.Open(t.Context(), url, nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, st.Close()) })
	return endtoend.Start(t, st, &bridge.Options{Keys: keys})
}

// TestNodesOnPostgres: two processes keep the guarantees on nothing but a PostgreSQL. The cases use
// browsers of their own.
func TestNodesOnPostgres(t *testing.T) {
	t.Parallel() // on a server of its own, which it waits for
	s := pgtest.Start(t)
	keys := [][]byte{endtoend.NewKey()}
	here, there := onPostgres(t, s.URL(), keys), onPostgres(t, s.URL(), keys)
	for name, does := range map[string]func(*testing.T, *endtoend.App, *endtoend.App){
		"G1 concurrent increments": incrementsOfTwo,
		"G2 no resurrection":       endsAtBoth,
		"G6 a login cuts sockets":  loginCutsSockets,
		"G4 and messages":          reachesSocketsOf,
	} {
		t.Run(name, func(t *testing.T) { does(t, here, there) })
	}
}

func incrementsOfTwo(t *testing.T, here, there *endtoend.App) {
	const each = 10
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

func endsAtBoth(t *testing.T, here, there *endtoend.App) {
	eve := endtoend.NewBrowser(t, here)
	eve.Get("/login?user=eve")
	phone := endtoend.NewBrowser(t, there)
	phone.Get("/login?user=eve")
	ws := eve.Another().At(there).Dial()
	require.Equal(t, "eve", ws.Ask("user"))

	n, err := here.Bridge.DestroyUser(t.Context(), "eve")
	require.NoError(t, err)
	require.Equal(t, 2, n)
	require.Empty(t, phone.Get("/user"))
	require.Equal(t, bridge.CodeDestroyed, ws.Closed())
}

func loginCutsSockets(t *testing.T, here, there *endtoend.App) {
	joe := endtoend.NewBrowser(t, here)
	joe.Get("/increment")
	ws := joe.Another().At(there).Dial()
	require.Equal(t, "2", ws.Ask("increment"))
	joe.Get("/login?user=joe")
	require.Equal(t, bridge.CodeReconnect, ws.Closed())
}

// reachesSocketsOf: the end of a user's sessions, messages and lists reach the sockets of another
// process.
func reachesSocketsOf(t *testing.T, here, there *endtoend.App) {
	ada := endtoend.NewBrowser(t, here)
	ada.Get("/login?user=kim")
	ada.At(there)
	tabs := []*endtoend.Socket{ada.Dial(), ada.Dial()}
	for _, tab := range tabs {
		require.Equal(t, "kim", tab.Ask("user"))
	}
	n, err := here.Bridge.Notify(t.Context(), bridge.To{UserID: "kim"}, []byte("hello"))
	require.NoError(t, err)
	require.Equal(t, 2, n)
	require.Equal(t, "hello", tabs[0].Hear())

	n, err = here.Bridge.DestroyUser(t.Context(), "kim")
	require.NoError(t, err)
	require.Equal(t, 1, n)
	for _, tab := range tabs {
		require.Equal(t, bridge.CodeDestroyed, tab.Closed())
	}
}

// TestG4_PostgresWithoutNotifications: while notifications don't arrive at a process, its sockets end
// within 5 s of their sessions, and it is not healthy.
func TestG4_PostgresWithoutNotifications(t *testing.T) {
	t.Parallel() // on a server of its own, which it waits for
	s := pgtest.Start(t)
	keys, proxy := [][]byte{endtoend.NewKey()}, pgtest.StartProxy(t, s)
	here, there := onPostgres(t, s.URL(), keys), onPostgres(t, proxy.URL(), keys)
	healthy := func() bool { return there.Bridge.Stats().Healthy }
	require.Eventually(t, healthy, await.Limit, 20*time.Millisecond)
	proxy.DropPushes()
	var tabs []*endtoend.Socket
	for _, user := range []string{"ada", "bob"} {
		browser := endtoend.NewBrowser(t, here)
		browser.Get("/login?user=" + user)
		tabs = append(tabs, browser.Another().At(there).Dial())
		require.Equal(t, user, tabs[len(tabs)-1].Ask("user"))
	}
	require.Eventually(t, func() bool { return !healthy() }, await.Limit, 20*time.Millisecond)
	began := time.Now()
	for _, user := range []string{"ada", "bob"} {
		n, err := here.Bridge.DestroyUser(t.Context(), user)
		require.NoError(t, err)
		require.Equal(t, 1, n)
	}
	for _, tab := range tabs {
		require.Equal(t, bridge.CodeDestroyed, tab.Closed())
	}
	require.Less(t, time.Since(began), 5*time.Second)
	require.Positive(t, proxy.Dropped())
	proxy.PassPushes()
	require.Eventually(t, healthy, await.Limit, 20*time.Millisecond)
}

// TestG9_PostgresOutage: while PostgreSQL is away requests get 503 and never an anonymous session;
// afterwards everything is as before, and nodes reach each other.
func TestG9_PostgresOutage(t *testing.T) {
	t.Parallel() // on a server of its own, which it waits for
	s := pgtest.Start(t)
	keys := [][]byte{endtoend.NewKey()}
	here, there := onPostgres(t, s.URL(), keys), onPostgres(t, s.URL(), keys)
	ada := endtoend.NewBrowser(t, here)
	ada.Get("/login?user=ada")
	s.Kill()
	res, err := ada.Do("/user")
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, 503, res.StatusCode)
	require.Empty(t, res.Header.Values("Set-Cookie"))
	s.Restart(t)
	for _, at := range []*endtoend.App{here, there} {
		browser := ada.Another().At(at)
		require.Eventually(t, func() bool {
			user, err := browser.Try("/user")
			return err == nil && user == "ada"
		}, await.Limit, 20*time.Millisecond)
	}
	ws := ada.Another().At(there).Dial()
	require.Equal(t, "ada", ws.Ask("user"))
	_, err = here.Bridge.DestroyUser(t.Context(), "ada")
	require.NoError(t, err)
	require.Equal(t, bridge.CodeDestroyed, ws.Closed())
}
