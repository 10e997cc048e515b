package guarantees_test

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
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

func TestG12_NobodyCanStallIt_HungHandlerDoesNotHoldUpALogout(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	sl := newSlow()
	a.Mux.Handle("/hung", sl.socket(a))
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/inc")
	br.Dial("/hung")
	ws := br.Dial("/ws")
	<-sl.inside // and stays there, with the session's lock
	br.OK("/logout")
	require.Equal(t, bridge.CodeDestroyed, ws.Closed())
	require.Equal(t, "1", br.OK("/inc"), "the next session isn't held up either")
	close(sl.goOn)
	require.ErrorIs(t, <-sl.result, bridge.ErrSessionGone)
}

func TestG12_NobodyCanStallIt_EveryWaitTakesAContext(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	sl := newSlow()
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/inc")
	id := br.OK("/id")
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
	a := testkit.NewApp(t, livestore.New(), nil)
	block := make(chan struct{})
	defer close(block)
	a.OnSessionSet(func(bridge.SessionSet) { <-block })
	a.OnSessionSet(func(bridge.SessionSet) { panic("a callback's own") })
	full := a.Subscribe(t.Context(), 1)
	good := testkit.Record[bridge.SessionSet](t, a.Bridge)
	h := a.Handler(a.Mux)
	p := webclient.Pocket{}
	const n = 3000
	for range n {
		require.Equal(t, 200, p.Get(t, h, "/inc").Code)
	}
	for range n {
		good.Next()
	}
	require.Len(t, full, 1)
	require.GreaterOrEqual(t, a.Stats().EventsDropped, uint64(n-1+n-1024-2))
}

func TestG12_NobodyCanStallIt_SlowSocketIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), nil)
		wrote := make(chan time.Duration, 1)
		a.Mux.Handle("/flood", a.WebSocket(func(_ context.Context, c *bridge.Conn) error {
			start := time.Now()
			for {
				if err := c.Write(t.Context(), websocket.MessageText, make([]byte, 64<<10)); err != nil {
					wrote <- time.Since(start)
					return err
				}
			}
		}, &bridge.ConnOptions{WriteTimeout: 3 * time.Second}))
		br := webclient.NewBrowser(t, a.ServeInMemory(t))
		br.OK("/inc")
		br.Dial("/flood") // and never reads
		healthy := br.Dial("/ws")
		require.Equal(t, "2", healthy.Ask("inc"))
		took := <-wrote
		require.GreaterOrEqual(t, took, 3*time.Second)
		require.LessOrEqual(t, took, 4*time.Second)
	})
}

// A close takes a second if the peer doesn't answer the close frame, not five or ten as in the
// library.
func TestG12_NobodyCanStallIt_CloseIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), nil)
		closed := testkit.Record[bridge.ConnClose](t, a.Bridge)
		br := webclient.NewBrowser(t, a.ServeInMemory(t))
		br.OK("/inc")
		for range 20 {
			br.Dial("/ws") // and never reads
		}
		start := time.Now()
		br.OK("/logout")
		require.Zero(t, time.Since(start))
		for range 20 {
			require.Equal(t, bridge.CodeDestroyed, closed.Next().Code)
		}
		require.LessOrEqual(t, time.Since(start), time.Second)
	})
}
