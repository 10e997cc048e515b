package bridge_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

func TestG12_NobodyCanStallIt_HungHandlerDoesNotHoldUpALogout(t *testing.T) {
	a := makeApp(t, livestore.New(), nil)
	sl := newSlow()
	a.mux.Handle("/hung", sl.socket(a))
	br := newBrowser(t, a.serve(t))
	br.ok("/inc")
	br.dial("/hung")
	ws := br.dial("/ws")
	<-sl.inside // and stays there, with the session's lock
	br.ok("/logout")
	require.Equal(t, bridge.CodeDestroyed, ws.closed())
	require.Equal(t, "1", br.ok("/inc"), "the next session isn't held up either")
	close(sl.goOn)
	require.ErrorIs(t, <-sl.result, bridge.ErrSessionGone)
}

func TestG12_NobodyCanStallIt_EveryWaitTakesAContext(t *testing.T) {
	a := makeApp(t, livestore.New(), nil)
	sl := newSlow()
	br := newBrowser(t, a.serve(t))
	br.ok("/inc")
	id := br.ok("/id")
	var wg sync.WaitGroup
	wg.Go(func() { sl.result <- a.UpdateByID(t.Context(), id, sl.change) })
	<-sl.inside
	why := errors.New("had enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	waited := make(chan error, 1)
	wg.Go(func() {
		waited <- a.UpdateByID(ctx, id, func(context.Context, *bridge.Session) error { return nil })
	})
	cancel(why)
	require.ErrorIs(t, <-waited, why)
	close(sl.goOn)
	require.NoError(t, <-sl.result)
	wg.Wait()
}

func TestG12_NobodyCanStallIt_SlowSubscribersMissEventsThemselves(t *testing.T) {
	t.Parallel()
	a := makeApp(t, livestore.New(), nil)
	block := make(chan struct{})
	defer close(block)
	a.OnSessionSet(func(bridge.SessionSet) { <-block })
	a.OnSessionSet(func(bridge.SessionSet) { panic("a callback's own") })
	full := a.Subscribe(t.Context(), 1)
	good := record[bridge.SessionSet](t, a.Bridge)
	h := a.Handler(a.mux)
	p := pocket{}
	const n = 3000
	for range n {
		require.Equal(t, 200, p.get(t, h, "/inc").Code)
	}
	for range n {
		good.next()
	}
	require.Len(t, full, 1)
	require.GreaterOrEqual(t, a.Stats().EventsDropped, uint64(n-1+n-1024-2))
}

func TestG12_NobodyCanStallIt_SlowSocketIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := makeApp(t, livestore.New(), nil)
		wrote := make(chan time.Duration, 1)
		a.mux.Handle("/flood", a.WebSocket(func(_ context.Context, c *bridge.Conn) error {
			start := time.Now()
			for {
				if err := c.Write(t.Context(), websocket.MessageText, make([]byte, 64<<10)); err != nil {
					wrote <- time.Since(start)
					return err
				}
			}
		}, &bridge.ConnOptions{WriteTimeout: 3 * time.Second}))
		br := newBrowser(t, a.serveInMemory(t))
		br.ok("/inc")
		br.dial("/flood") // and never reads
		healthy := br.dial("/ws")
		require.Equal(t, "2", healthy.ask("inc"))
		took := <-wrote
		require.GreaterOrEqual(t, took, 3*time.Second)
		require.LessOrEqual(t, took, 4*time.Second)
	})
}

// A peer that doesn't answer the close frame costs a second, not the five and ten of the library below.
func TestG12_NobodyCanStallIt_CloseIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := makeApp(t, livestore.New(), nil)
		closed := record[bridge.ConnClose](t, a.Bridge)
		br := newBrowser(t, a.serveInMemory(t))
		br.ok("/inc")
		for range 20 {
			br.dial("/ws") // and never reads
		}
		start := time.Now()
		br.ok("/logout")
		require.Zero(t, time.Since(start))
		for range 20 {
			require.Equal(t, bridge.CodeDestroyed, closed.next().Code)
		}
		require.LessOrEqual(t, time.Since(start), time.Second)
	})
}
