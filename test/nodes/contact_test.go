package nodes_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
)

// TestWhatANodeHasMissedIsMadeUpFor: a node checks everything that it knows once it receives
// notifications again.
func TestWhatANodeHasMissedIsMadeUpFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, apps := testkit.NewNodes(t, 2, bridge.Options{RevalidateEvery: bridge.Off, EagerClient: true})
		here, there := apps[0].ServeInMemory(t), apps[1].ServeInMemory(t)
		over, cut, fresh, well := webclient.NewBrowser(t, here), webclient.NewBrowser(t, here), webclient.NewBrowser(t, here), webclient.NewBrowser(t, here)
		over.OK("/inc")
		cut.OK("/inc")
		fresh.OK("/plain")
		well.OK("/inc")
		overTab, cutTab, freshTab := over.Dial("/ws").WhenClosed(), cut.Dial("/ws").WhenClosed(), fresh.Dial("/ws").WhenClosed()
		wellTab := well.Dial("/ws").Listen()
		synctest.Wait()
		h.Node(0).SetNetwork(true, false)
		over.At(there).OK("/logout")
		cut.At(there).OK("/login?user=ada")
		fresh.At(there).OK("/inc")
		time.Sleep(time.Second)
		require.Equal(t, 4, apps[0].Stats().Conns, "it was not notified")
		h.Node(0).SetNetwork(false, false)
		start := time.Now()
		require.Equal(t, bridge.CodeDestroyed, <-overTab)
		require.Equal(t, bridge.CodeReconnect, <-cutTab)
		require.Equal(t, bridge.CodeReconnect, <-freshTab, "its client has a session now")
		require.LessOrEqual(t, time.Since(start), 6*time.Second)
		require.Equal(t, "2", wellTab.Ask("inc"))
	})
}

// TestG9_ANodeThatIsCutOffFreezes: after five seconds it refuses all uses of sessions, after thirty
// it closes its connections, and later everything works again.
func TestG9_ANodeThatIsCutOffFreezes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, apps := testkit.NewNodes(t, 2, bridge.Options{})
		a, there := apps[0], apps[1]
		outcome := make(chan error)
		ask := make(chan struct{})
		a.Mux.Handle("/held", a.PerConnection(func(ctx context.Context, c *bridge.Conn, _ *bridge.Session) error {
			go func() {
				for range ask {
					outcome <- c.WithSession(context.WithoutCancel(ctx), func(context.Context, *bridge.Session) error { return nil }, nil)
				}
			}()
			<-ctx.Done()
			return nil
		}, &bridge.ConnOptions{SaveEvery: bridge.Off}))
		br := webclient.NewBrowser(t, a.ServeInMemory(t))
		br.OK("/inc")
		held, tab := br.Dial("/held").WhenClosed(), br.Dial("/ws").WhenClosed()
		synctest.Wait()
		works := func() error { ask <- struct{}{}; return <-outcome }
		require.NoError(t, works())
		require.True(t, a.Stats().Healthy)

		h.Node(0).SetNetwork(false, true)
		time.Sleep(5 * time.Second)
		require.False(t, a.Stats().Healthy)
		require.True(t, there.Stats().Healthy)
		require.ErrorIs(t, works(), bridge.ErrStoreUnavailable)
		_, err := a.Notify(t.Context(), bridge.To{All: true}, []byte("hello"))
		require.ErrorIs(t, err, bridge.ErrStoreUnavailable)
		require.Equal(t, http.StatusServiceUnavailable, br.Get("/get").Status)
		require.Equal(t, 2, a.Stats().Conns, "they may come back yet")

		start := time.Now()
		require.Equal(t, bridge.CodeUnavailable, <-tab)
		require.Equal(t, bridge.CodeUnavailable, <-held)
		require.InDelta(t, 25, time.Since(start).Seconds(), 1.1)
		_, res, err := br.TryDial("/ws", nil)
		require.Error(t, err)
		require.Equal(t, http.StatusServiceUnavailable, res.StatusCode)

		h.Node(0).SetNetwork(false, false)
		require.True(t, a.Stats().Healthy)
		require.Equal(t, "1", br.OK("/get"))
		back := br.Dial("/ws")
		require.Equal(t, "2", back.Ask("inc"))
		close(ask)
	})
}

// TestG9_AShortOutageClosesNothing: connections outlast a restart of the store.
func TestG9_AShortOutageClosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, apps := testkit.NewNodes(t, 1, bridge.Options{})
		br := webclient.NewBrowser(t, apps[0].ServeInMemory(t))
		br.OK("/inc")
		tab := br.Dial("/ws").Listen()
		synctest.Wait()
		h.Node(0).SetNetwork(false, true)
		time.Sleep(20 * time.Second)
		h.Node(0).SetNetwork(false, false)
		time.Sleep(time.Minute)
		require.Equal(t, "2", tab.Ask("inc"))
	})
}

// TestWhatIsHeldIsLetGo: a node holds the sessions that have connections here, and clients that it
// has seen lately.
func TestWhatIsHeldIsLetGo(t *testing.T) {
	h, apps := testkit.NewNodes(t, 2, bridge.Options{})
	here, there := apps[0].Serve(t), apps[1].Serve(t)
	holds := func(sessions, clients int) {
		t.Helper()
		require.Eventually(t, func() bool { s, c := h.Node(0).Holds(); return s == sessions && c == clients }, await.Limit, time.Millisecond)
	}
	holds(0, 0)
	ada, guest := webclient.NewBrowser(t, here), webclient.NewBrowser(t, here)
	ada.OK("/inc")
	holds(0, 1)
	guest.OK("/plain")
	tab, other := guest.Dial("/ws"), guest.Dial("/ws")
	tab.Ask("id")
	other.Ask("id")
	holds(0, 2)
	require.NoError(t, tab.Conn.CloseNow())
	require.Eventually(t, func() bool { return apps[0].Stats().Conns == 1 }, await.Limit, time.Millisecond)
	holds(0, 2)
	require.NoError(t, other.Conn.CloseNow())
	holds(0, 1)
	mine := ada.Dial("/ws")
	mine.Ask("id")
	holds(1, 1)
	ada.At(there).OK("/inc")
	ada.At(there).OK("/logout")
	require.Equal(t, bridge.CodeDestroyed, mine.Closed())
	holds(0, 1)
}

// TestClientsThatAreHeldAreLimited: a node doesn't hold all clients that it has ever seen.
func TestClientsThatAreHeldAreLimited(t *testing.T) {
	t.Parallel()
	const most = 10_000
	h, apps := testkit.NewNodes(t, 1, bridge.Options{})
	handler := apps[0].Handler(apps[0].Mux)
	for range most + 50 {
		webclient.Pocket{}.Get(t, handler, "/inc")
	}
	require.Eventually(t, func() bool { s, c := h.Node(0).Holds(); return s == 0 && c == most }, await.Limit, time.Millisecond)
}

// TestWhatCannotBeHeldIsTriedAgain: a client that was seen while the store failed is held later.
func TestWhatCannotBeHeldIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, apps := testkit.NewNodes(t, 2, bridge.Options{RevalidateEvery: bridge.Off})
		h.FailHolds.Store(true)
		br := webclient.NewBrowser(t, apps[0].ServeInMemory(t))
		br.OK("/inc")
		synctest.Wait()
		_, clients := h.Node(0).Holds()
		require.Zero(t, clients)
		h.FailHolds.Store(false)
		time.Sleep(2 * time.Second)
		_, clients = h.Node(0).Holds()
		require.Equal(t, 1, clients)
		tab := br.Dial("/ws")
		require.Equal(t, "2", tab.Ask("inc"))
	})
}

// TestASocketThatOthersCouldNotCloseIsRefused: the node wouldn't be notified of its session's end.
func TestASocketThatOthersCouldNotCloseIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, apps := testkit.NewNodes(t, 1, bridge.Options{})
		h.FailHolds.Store(true)
		br := webclient.NewBrowser(t, apps[0].ServeInMemory(t))
		br.OK("/inc")
		require.Equal(t, bridge.CodeUnavailable, <-br.Dial("/ws").WhenClosed())
	})
}

// TestAMessageThatNobodyUnderstandsIsLookedPast: a node ignores an unknown message, which another
// version may send.
func TestAMessageThatNobodyUnderstandsIsLookedPast(t *testing.T) {
	h, apps := testkit.NewNodes(t, 2, bridge.Options{})
	ada := webclient.NewBrowser(t, apps[0].Serve(t))
	ada.OK("/inc")
	tab := ada.Dial("/ws")
	tab.Ask("id") // it is open
	for _, data := range []string{"", "\xff", "\x03{}", "\x02{}", "\x10{\"q\":{\"id\":1}}", "\x08not json", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"} {
		require.NoError(t, h.Node(1).Send(t.Context(), []string{"node0"}, []byte(data)))
	}
	n, err := apps[1].Notify(t.Context(), bridge.To{All: true}, []byte("hello"))
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.Equal(t, "hello", tab.Hear())
}
