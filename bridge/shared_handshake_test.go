package bridge_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// latency is a store that takes its time, in a bubble.
func latency(d time.Duration) fault {
	return func(_ context.Context, call func() error) error {
		time.Sleep(d)
		return call()
	}
}

// The tabs of one session all come back at once, also to a process that has never seen it.
func TestHandshakesOfOneSessionShareTheirLooksAtTheStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st := newFaultyStore()
		opts := &bridge.Options{Keys: [][]byte{make([]byte, 32)}}
		before, after := makeApp(t, st, opts), makeApp(t, st, opts)
		br := newBrowser(t, before.serveInMemory(t))
		br.ok("/inc")
		site := after.serveInMemory(t)
		tab := newBrowser(t, site)
		tab.client.Jar = br.client.Jar
		gets := st.count("Get")
		st.always(latency(10*time.Millisecond), "Get")
		const tabs = 500
		var all sync.WaitGroup
		for range tabs {
			all.Go(func() { tab.dial("/ws").whenClosed() })
		}
		all.Wait()
		synctest.Wait()
		require.Equal(t, tabs, after.Stats().Conns)
		require.LessOrEqual(t, st.count("Get")-gets, 10, "a handful for %d handshakes", tabs)
		was, err := after.DestroyByID(t.Context(), br.ok("/id"))
		require.NoError(t, err)
		require.True(t, was)
		require.Eventually(t, func() bool { return after.Stats().Conns == 0 }, patience, time.Millisecond)
	})
}

func TestAttachSharesItsLooksAtTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newFaultyStore()
		a := makeApp(t, st, nil)
		a.page("/attach", func(r *http.Request) (any, error) {
			link, err := a.Attach(r, func(int, string) {})
			if err == nil {
				link.Detach()
			}
			return "attached", err
		})
		br := newBrowser(t, a.serveInMemory(t))
		br.ok("/inc")
		gets := st.count("Get")
		st.always(latency(10*time.Millisecond), "Get")
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() { br.ok("/attach") })
		}
		all.Wait()
		require.LessOrEqual(t, st.count("Get")-gets, 10)
	})
}

// A handshake that begins after a destroy has returned finds no session, and none that overlaps with it stays open, whatever they share.
func TestG5_NoSocketOutlivesAHandshakeRace_SharedLooks(t *testing.T) {
	t.Parallel()
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			st := newFaultyStore()
			a := makeApp(t, st, nil)
			a.mux.Handle("/strict", a.WebSocket(converse, &bridge.ConnOptions{OnMissing: bridge.RefuseMissing}))
			br := newBrowser(t, a.serveInMemory(t))
			br.ok("/inc")
			id := br.ok("/id")
			st.always(latency(7*time.Millisecond), "Get")
			st.always(latency(5*time.Millisecond), "Destroy")
			var all sync.WaitGroup
			dial := func() {
				s, res, err := br.tryDial("/strict", nil)
				if err != nil {
					require.Equal(t, http.StatusUnauthorized, res.StatusCode)
					return
				}
				require.Equal(t, bridge.CodeDestroyed, s.closedEventually())
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
				_, res, err := br.tryDial("/strict", nil)
				require.Error(t, err, "the destroy has returned")
				require.Equal(t, http.StatusUnauthorized, res.StatusCode)
			})
			all.Wait()
		})
	}
}

// One whose client hangs up takes nobody's answer away, and a store that hangs keeps nobody longer than it may.
func TestHandshakesThatShareALookWaitForNoStoreThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newFaultyStore()
		a := makeApp(t, st, &bridge.Options{StoreTimeout: 2 * time.Second})
		h := a.Handler(a.mux)
		p := pocket{}
		p.get(t, h, "/inc")
		st.always(hang, "Get")
		start := time.Now()
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() {
				br := newBrowser(t, serveInMemory(t, h))
				for name, value := range p {
					br.setCookie(name, value)
				}
				_, res, err := br.tryDial("/ws", nil)
				require.Error(t, err)
				require.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
			})
		}
		all.Wait()
		require.LessOrEqual(t, time.Since(start), 4*time.Second)
	})
}
