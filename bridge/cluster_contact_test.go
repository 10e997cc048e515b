package bridge_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// TestWhatANodeHasMissedIsMadeUpFor: everything that it knows is looked at once it hears again.
func TestWhatANodeHasMissedIsMadeUpFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, apps := makeNodes(t, 2, bridge.Options{RevalidateEvery: bridge.Off, EagerClient: true})
		here, there := apps[0].serveInMemory(t), apps[1].serveInMemory(t)
		over, cut, fresh, well := newBrowser(t, here), newBrowser(t, here), newBrowser(t, here), newBrowser(t, here)
		over.ok("/inc")
		cut.ok("/inc")
		fresh.ok("/plain")
		well.ok("/inc")
		overTab, cutTab, freshTab := over.dial("/ws").whenClosed(), cut.dial("/ws").whenClosed(), fresh.dial("/ws").whenClosed()
		wellTab := well.dial("/ws").listen()
		synctest.Wait()
		h.node(0).set(true, false)
		over.at(there).ok("/logout")
		cut.at(there).ok("/login?user=ada")
		fresh.at(there).ok("/inc")
		time.Sleep(time.Second)
		require.Equal(t, 4, apps[0].Stats().Conns, "nobody has told it")
		h.node(0).set(false, false)
		start := time.Now()
		require.Equal(t, bridge.CodeDestroyed, <-overTab)
		require.Equal(t, bridge.CodeReconnect, <-cutTab)
		require.Equal(t, bridge.CodeReconnect, <-freshTab, "its client has a session now")
		require.LessOrEqual(t, time.Since(start), 6*time.Second)
		require.Equal(t, "2", wellTab.ask("inc"))
	})
}

// TestG9_ANodeThatIsCutOffFreezes: after five seconds nothing is said of any session, after thirty its connections are closed, and then all comes back.
func TestG9_ANodeThatIsCutOffFreezes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, apps := makeNodes(t, 2, bridge.Options{})
		a, there := apps[0], apps[1]
		outcome := make(chan error)
		ask := make(chan struct{})
		a.mux.Handle("/held", a.PerConnection(func(ctx context.Context, c *bridge.Conn, _ *bridge.Session) error {
			go func() {
				for range ask {
					outcome <- c.WithSession(context.WithoutCancel(ctx), func(context.Context, *bridge.Session) error { return nil }, nil)
				}
			}()
			<-ctx.Done()
			return nil
		}, &bridge.ConnOptions{SaveEvery: bridge.Off}))
		br := newBrowser(t, a.serveInMemory(t))
		br.ok("/inc")
		held, tab := br.dial("/held").whenClosed(), br.dial("/ws").whenClosed()
		synctest.Wait()
		works := func() error { ask <- struct{}{}; return <-outcome }
		require.NoError(t, works())
		require.True(t, a.Stats().Healthy)

		h.node(0).set(false, true)
		time.Sleep(5 * time.Second)
		require.False(t, a.Stats().Healthy)
		require.True(t, there.Stats().Healthy)
		require.ErrorIs(t, works(), bridge.ErrStoreUnavailable)
		_, err := a.Notify(t.Context(), bridge.To{All: true}, []byte("hello"))
		require.ErrorIs(t, err, bridge.ErrStoreUnavailable)
		require.Equal(t, http.StatusServiceUnavailable, br.get("/get").status)
		require.Equal(t, 2, a.Stats().Conns, "they may come back yet")

		start := time.Now()
		require.Equal(t, bridge.CodeUnavailable, <-tab)
		require.Equal(t, bridge.CodeUnavailable, <-held)
		require.InDelta(t, 25, time.Since(start).Seconds(), 1.1)
		_, res, err := br.tryDial("/ws", nil)
		require.Error(t, err)
		require.Equal(t, http.StatusServiceUnavailable, res.StatusCode)

		h.node(0).set(false, false)
		require.True(t, a.Stats().Healthy)
		require.Equal(t, "1", br.ok("/get"))
		back := br.dial("/ws")
		require.Equal(t, "2", back.ask("inc"))
		close(ask)
	})
}

// TestG9_AShortOutageClosesNothing: connections outlast what the store needs to restart.
func TestG9_AShortOutageClosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, apps := makeNodes(t, 1, bridge.Options{})
		br := newBrowser(t, apps[0].serveInMemory(t))
		br.ok("/inc")
		tab := br.dial("/ws").listen()
		synctest.Wait()
		h.node(0).set(false, true)
		time.Sleep(20 * time.Second)
		h.node(0).set(false, false)
		time.Sleep(time.Minute)
		require.Equal(t, "2", tab.ask("inc"))
	})
}

// TestWhatIsHeldIsLetGo: a node holds the sessions that have connections here, and clients that it has seen lately.
func TestWhatIsHeldIsLetGo(t *testing.T) {
	h, apps := makeNodes(t, 2, bridge.Options{})
	here, there := apps[0].serve(t), apps[1].serve(t)
	holds := func(sessions, clients int) {
		t.Helper()
		require.Eventually(t, func() bool { s, c := h.node(0).holds(); return s == sessions && c == clients }, patience, time.Millisecond)
	}
	holds(0, 0)
	ada, guest := newBrowser(t, here), newBrowser(t, here)
	ada.ok("/inc")
	holds(0, 1)
	guest.ok("/plain")
	tab, other := guest.dial("/ws"), guest.dial("/ws")
	tab.ask("id")
	other.ask("id")
	holds(0, 2)
	require.NoError(t, tab.ws.CloseNow())
	require.Eventually(t, func() bool { return apps[0].Stats().Conns == 1 }, patience, time.Millisecond)
	holds(0, 2)
	require.NoError(t, other.ws.CloseNow())
	holds(0, 1)
	mine := ada.dial("/ws")
	mine.ask("id")
	holds(1, 1)
	ada.at(there).ok("/inc")
	ada.at(there).ok("/logout")
	require.Equal(t, bridge.CodeDestroyed, mine.closed())
	holds(0, 1)
}

// TestClientsThatAreHeldAreLimited: a node isn't told of the logins of all clients that it has ever seen, wherever requests are sent to.
func TestClientsThatAreHeldAreLimited(t *testing.T) {
	t.Parallel()
	const most = 10_000
	h, apps := makeNodes(t, 1, bridge.Options{})
	handler := apps[0].Handler(apps[0].mux)
	for range most + 50 {
		pocket{}.get(t, handler, "/inc")
	}
	require.Eventually(t, func() bool { s, c := h.node(0).holds(); return s == 0 && c == most }, patience, time.Millisecond)
}

// TestWhatCannotBeHeldIsTriedAgain: a client that was seen while the store failed is held later.
func TestWhatCannotBeHeldIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, apps := makeNodes(t, 2, bridge.Options{RevalidateEvery: bridge.Off})
		h.failHolds.Store(true)
		br := newBrowser(t, apps[0].serveInMemory(t))
		br.ok("/inc")
		synctest.Wait()
		_, clients := h.node(0).holds()
		require.Zero(t, clients)
		h.failHolds.Store(false)
		time.Sleep(2 * time.Second)
		_, clients = h.node(0).holds()
		require.Equal(t, 1, clients)
		tab := br.dial("/ws")
		require.Equal(t, "2", tab.ask("inc"))
	})
}

// TestASocketThatOthersCouldNotCloseIsRefused: nobody would tell of its session's end.
func TestASocketThatOthersCouldNotCloseIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, apps := makeNodes(t, 1, bridge.Options{})
		h.failHolds.Store(true)
		br := newBrowser(t, apps[0].serveInMemory(t))
		br.ok("/inc")
		require.Equal(t, bridge.CodeUnavailable, <-br.dial("/ws").whenClosed())
	})
}

// TestAMessageThatNobodyUnderstandsIsLookedPast: another version may run at another node.
func TestAMessageThatNobodyUnderstandsIsLookedPast(t *testing.T) {
	h, apps := makeNodes(t, 2, bridge.Options{})
	ada := newBrowser(t, apps[0].serve(t))
	ada.ok("/inc")
	tab := ada.dial("/ws")
	tab.ask("id") // it is open
	for _, data := range []string{"", "\xff", "\x03{}", "\x02{}", "\x10{\"q\":{\"id\":1}}", "\x08not json", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"} {
		require.NoError(t, h.node(1).Send(t.Context(), []string{"node0"}, []byte(data)))
	}
	n, err := apps[1].Notify(t.Context(), bridge.To{All: true}, []byte("hello"))
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.Equal(t, "hello", tab.hear())
}
