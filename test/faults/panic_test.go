package faults_test

import (
	"context"
	"net/http"
	"strconv"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

func TestPanicOnAConnectionReleasesTheLockAndCloses1011(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	a.Mux.Handle("/panics", a.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
		return c.WithSession(ctx, testkit.Panicking, nil)
	}, nil))
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/inc")
	id := br.OK("/id")
	bystander := br.Dial("/ws")
	require.Equal(t, bridge.CodeFailed, br.Dial("/panics").Closed())
	require.Equal(t, "2", bystander.Ask("inc"), "the lock is free")
	s, err := a.GetByID(t.Context(), id)
	require.NoError(t, err)
	_, there := s.Get("panicked")
	require.False(t, there)
}

func TestPanicOverHTTPReleasesTheLockAndStoresNothing(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	a.Page("/panics", func(r *http.Request) (any, error) { return nil, a.WithSession(r, testkit.Panicking, nil) })
	a.SessionPage("/panicsown", func(s *bridge.Session) (any, error) { return nil, testkit.Panicking(t.Context(), s) })
	h := a.Handler(a.Mux)
	visitor := webclient.Pocket{}
	visitor.Get(t, h, "/inc")
	id := visitor.Get(t, h, "/id").Body.String()
	for _, path := range []string{"/panics", "/panicsown"} {
		require.Panics(t, func() { visitor.Get(t, h, path) }, "net/http is to see it")
	}
	require.Equal(t, "2", visitor.Get(t, h, "/inc").Body.String(), "the lock is free")
	s, err := a.GetByID(t.Context(), id)
	require.NoError(t, err)
	_, there := s.Get("panicked")
	require.False(t, there)
}

func TestBlockedCallbackMissesEventsAndNobodyElseDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), nil)
		release := make(chan struct{})
		blocked, healthy := 0, 0
		a.OnSessionSet(func(bridge.SessionSet) { <-release; blocked++ })
		a.OnSessionSet(func(bridge.SessionSet) { panic("each time") })
		a.OnSessionSet(func(bridge.SessionSet) { healthy++ })
		h := a.Handler(a.Mux)
		visitor := webclient.Pocket{}
		const changes = 1500
		for i := range changes {
			require.Equal(t, strconv.Itoa(i+1), visitor.Get(t, h, "/inc").Body.String())
			synctest.Wait() // the others have received it
		}
		dropped := int(a.Stats().EventsDropped)
		require.Positive(t, dropped)
		close(release)
		synctest.Wait()
		require.Equal(t, changes, healthy)
		require.Equal(t, changes, blocked+dropped, "what it missed was counted, to the last one")
	})
}

func TestCallbackThatIsOffGetsNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), nil)
		got := 0
		off := a.OnSessionSet(func(bridge.SessionSet) { got++ })
		h := a.Handler(a.Mux)
		webclient.Pocket{}.Get(t, h, "/inc")
		synctest.Wait()
		off()
		off()
		webclient.Pocket{}.Get(t, h, "/inc")
		synctest.Wait()
		require.Equal(t, 1, got)
	})
}

func TestSubscriptionEndsWithItsContextOrTheBridge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, err := bridge.New(livestore.New(), nil)
		require.NoError(t, err)
		app := &testkit.App{Bridge: b, Mux: testkit.NewMux(b)}
		h := app.Handler(app.Mux)
		ctx, cancel := context.WithCancel(t.Context())
		short, long, narrow := b.Subscribe(ctx, 10), b.Subscribe(t.Context(), 10), b.Subscribe(t.Context(), -1)
		visitor := webclient.Pocket{}
		visitor.Get(t, h, "/inc")
		cancel()
		synctest.Wait()
		visitor.Get(t, h, "/inc")
		require.NoError(t, b.Shutdown(t.Context()))
		events := func(from <-chan bridge.Event) (n int) {
			for range from { // ends when it is closed
				n++
			}
			return n
		}
		require.Equal(t, 1, events(short))
		require.Equal(t, 2, events(long), "what was in the queue is still delivered")
		require.Equal(t, 1, events(narrow), "the buffer is at least 1")
		require.EqualValues(t, 1, b.Stats().EventsDropped)
		require.Zero(t, events(b.Subscribe(t.Context(), 1)), "nothing comes after the end")
		b.OnSessionSet(func(bridge.SessionSet) { t.Error("called after the end") })()
	})
}
