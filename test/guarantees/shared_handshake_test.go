package guarantees_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
)

// latency delays calls, in a bubble.
func latency(d time.Duration) teststore.Fault {
	return func(_ context.Context, call func() error) error {
		time.Sleep(d)
		return call()
	}
}

// The tabs of one session all reconnect at once, even to a process that has never seen it.
func TestHandshakesOfOneSessionShareTheirLooksAtTheStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st := teststore.NewFaulty()
		opts := &bridge.Options{Keys: [][]byte{make([]byte, 32)}}
		before, after := testkit.NewApp(t, st, opts), testkit.NewApp(t, st, opts)
		br := webclient.NewBrowser(t, before.ServeInMemory(t))
		br.OK("/inc")
		site := after.ServeInMemory(t)
		tab := webclient.NewBrowser(t, site)
		tab.Client.Jar = br.Client.Jar
		gets := st.Count("Get")
		st.Always(latency(10*time.Millisecond), "Get")
		const tabs = 500
		var all sync.WaitGroup
		for range tabs {
			all.Go(func() { tab.Dial("/ws").WhenClosed() })
		}
		all.Wait()
		synctest.Wait()
		require.Equal(t, tabs, after.Stats().Conns)
		require.LessOrEqual(t, st.Count("Get")-gets, 10, "a handful for %d handshakes", tabs)
		was, err := after.DestroyByID(t.Context(), br.OK("/id"))
		require.NoError(t, err)
		require.True(t, was)
		require.Eventually(t, func() bool { return after.Stats().Conns == 0 }, await.Limit, time.Millisecond)
	})
}

func TestAttachSharesItsLooksAtTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := teststore.NewFaulty()
		a := testkit.NewApp(t, st, nil)
		a.Page("/attach", func(r *http.Request) (any, error) {
			link, err := a.Attach(r, func(int, string) {})
			if err == nil {
				link.Detach()
			}
			return "attached", err
		})
		br := webclient.NewBrowser(t, a.ServeInMemory(t))
		br.OK("/inc")
		gets := st.Count("Get")
		st.Always(latency(10*time.Millisecond), "Get")
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() { br.OK("/attach") })
		}
		all.Wait()
		require.LessOrEqual(t, st.Count("Get")-gets, 10)
	})
}

// A handshake that begins after a destroy has returned finds no session, and one that overlaps with
// the destroy doesn't stay open, whatever they share.
func TestG5_NoSocketOutlivesAHandshakeRace_SharedLooks(t *testing.T) {
	t.Parallel()
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			st := teststore.NewFaulty()
			a := testkit.NewApp(t, st, nil)
			a.Mux.Handle("/strict", a.WebSocket(testkit.Converse, &bridge.ConnOptions{OnMissing: bridge.RefuseMissing}))
			br := webclient.NewBrowser(t, a.ServeInMemory(t))
			br.OK("/inc")
			id := br.OK("/id")
			st.Always(latency(7*time.Millisecond), "Get")
			st.Always(latency(5*time.Millisecond), "Destroy")
			var all sync.WaitGroup
			dial := func() {
				s, res, err := br.TryDial("/strict", nil)
				if err != nil {
					require.Equal(t, http.StatusUnauthorized, res.StatusCode)
					return
				}
				require.Equal(t, bridge.CodeDestroyed, s.ClosedEventually())
			}
			for i := range 60 {
				all.Go(func() {
					time.Sleep(time.Duration(i) * time.Millisecond)
					dial()
				})
			}
			time.Sleep(25 * time.Millisecond)
			was, err := a.DestroyByID(t.Context(), id)
			require.NoError(t, err)
			require.True(t, was)
			all.Go(func() {
				_, res, err := br.TryDial("/strict", nil)
				require.Error(t, err, "the destroy has returned")
				require.Equal(t, http.StatusUnauthorized, res.StatusCode)
			})
			all.Wait()
		})
	}
}

// If a client hangs up, the others that share its load still get the result. A store that hangs
// delays each for its timeout at most.
func TestHandshakesThatShareALookWaitForNoStoreThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := teststore.NewFaulty()
		a := testkit.NewApp(t, st, &bridge.Options{StoreTimeout: 2 * time.Second})
		h := a.Handler(a.Mux)
		p := webclient.Pocket{}
		p.Get(t, h, "/inc")
		st.Always(teststore.Hang, "Get")
		start := time.Now()
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() {
				br := webclient.NewBrowser(t, webclient.ServeInMemory(t, h))
				for name, value := range p {
					br.SetCookie(name, value)
				}
				_, res, err := br.TryDial("/ws", nil)
				require.Error(t, err)
				require.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
			})
		}
		all.Wait()
		require.LessOrEqual(t, time.Since(start), 4*time.Second)
	})
}
