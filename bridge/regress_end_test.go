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

// A Destroy that was done is known to be done soon, also where its reply was lost and nobody asks again.
func TestG4_DestroyReachesTheSockets_WhenItsReplyIsLost(t *testing.T) {
	for name, c := range map[string]struct {
		blind  int // how many reads fail after it
		retry  bool
		within time.Duration
	}{
		"asked again":                {0, true, 0},
		"not asked again":            {0, false, 0},
		"the store can't be read":    {3, false, 5 * time.Second},
		"asked again in spite of it": {3, true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st := newFaultyStore()
				a := makeApp(t, st, nil)
				ended := record[bridge.SessionDestroy](t, a.Bridge)
				br := newBrowser(t, a.serveInMemory(t))
				br.ok("/inc")
				id := br.ok("/id")
				ws := br.dial("/ws")
				ws.ask("id") // its handshake is over
				st.next(1, "Destroy", loseReply(errStore))
				for n := range c.blind {
					st.next(1+n, "Get", refuse(errStore))
				}
				start := time.Now()
				_, err := a.DestroyByID(t.Context(), id)
				require.ErrorIs(t, err, bridge.ErrStoreUnavailable)
				if c.retry {
					was, err := a.DestroyByID(t.Context(), id)
					require.NoError(t, err)
					require.False(t, was, "any more")
				}
				require.Equal(t, bridge.CodeDestroyed, ws.closedEventually())
				require.LessOrEqual(t, time.Since(start), c.within)
				require.Equal(t, bridge.ReasonDestroyed, ended.next().Reason)
				synctest.Wait()
				require.Empty(t, ended.rest(), "it ended once")
				require.Zero(t, a.Stats().Attached)
			})
		})
	}
}

// A Destroy that the store has refused ends nothing.
func TestRefusedDestroyLeavesTheSessionAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newFaultyStore()
		a := makeApp(t, st, nil)
		ended := record[bridge.SessionDestroy](t, a.Bridge)
		br := newBrowser(t, a.serveInMemory(t))
		br.ok("/inc")
		id := br.ok("/id")
		ws := br.dial("/ws")
		ws.ask("id")
		st.next(1, "Destroy", refuse(errStore))
		_, err := a.DestroyByID(t.Context(), id)
		require.ErrorIs(t, err, bridge.ErrStoreUnavailable)
		time.Sleep(10 * time.Second)
		require.Equal(t, "2", ws.ask("inc"))
		require.Empty(t, ended.rest())
	})
}

// Most handlers read with a context that they have made from their own. When that one ends, the close frame is still on its way.
func TestCloseCodeReachesTheClientOfAReadWithADerivedContext(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		code int
		end  func(t *testing.T, a *app, br *browser)
	}{
		"destroyed": {bridge.CodeDestroyed, func(t *testing.T, a *app, br *browser) {
			_, err := a.DestroyByID(t.Context(), br.ok("/id"))
			require.NoError(t, err)
		}},
		"logged in": {bridge.CodeReconnect, func(_ *testing.T, _ *app, br *browser) { br.ok("/login?user=ada") }},
		"expired":   {bridge.CodeExpired, func(*testing.T, *app, *browser) { time.Sleep(2 * idle) }},
		"shut down": {bridge.CodeShutdown, func(t *testing.T, a *app, _ *browser) { require.NoError(t, a.Shutdown(t.Context())) }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := makeApp(t, newFaultyStore(), expiring(0))
				a.mux.Handle("/derived", a.WebSocket(func(ctx context.Context, conn *bridge.Conn) error {
					for {
						one, cancel := context.WithTimeout(ctx, time.Hour)
						_, _, err := conn.Read(one)
						cancel()
						if err != nil {
							return err
						}
					}
				}, nil))
				br := newBrowser(t, a.serveInMemory(t))
				br.ok("/inc")
				var codes []<-chan int
				for range 20 { // which of the two is first is decided anew each time
					codes = append(codes, br.dial("/derived").whenClosed())
				}
				synctest.Wait()
				c.end(t, a, br)
				for _, code := range codes {
					require.Equal(t, c.code, <-code)
				}
			})
		})
	}
}

// Who finds the session gone before the one who ended it has said so leaves it to him to say why.
func TestEndIsReportedOnceByTheOneWhoEndedIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newFaultyStore()
		a := makeApp(t, st, nil)
		a.mux.Handle("/busy", a.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
			for {
				if _, _, err := c.Read(ctx); err != nil {
					return err
				}
				_ = c.WithSession(ctx, set("k", 1), nil) // the session is over
			}
		}, nil))
		ended := record[bridge.SessionDestroy](t, a.Bridge)
		br := newBrowser(t, a.serveInMemory(t))
		br.ok("/inc")
		ws := br.dial("/busy")
		code := ws.whenClosed()
		other := br.another()
		st.next(1, "Destroy", func(ctx context.Context, destroy func() error) error {
			err := destroy()
			ws.say("are you there?")
			go other.get("/get")
			synctest.Wait() // both have found nothing
			return err
		})
		br.ok("/logout")
		require.Equal(t, bridge.CodeDestroyed, <-code)
		synctest.Wait()
		all := ended.rest()
		require.Len(t, all, 1)
		require.Equal(t, bridge.ReasonLogout, all[0].Reason)
		require.Equal(t, bridge.ViaHTTP, all[0].Via)
	})
}

func TestExpiryThatTheStoreFailsToConfirmIsStillAnExpiry(t *testing.T) {
	for name, fail := range map[string]fault{"refused": refuse(errStore), "done, but the reply lost": loseReply(errStore)} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st := newFaultyStore()
				a := makeApp(t, st, expiring(0))
				ended := record[bridge.SessionDestroy](t, a.Bridge)
				br := newBrowser(t, a.serveInMemory(t))
				br.ok("/inc")
				st.next(1, "Destroy", fail)
				require.Equal(t, bridge.CodeExpired, br.dial("/ws").closedEventually())
				time.Sleep(time.Minute)
				all := ended.rest()
				require.Len(t, all, 1)
				require.Equal(t, bridge.ReasonExpired, all[0].Reason)
				require.Zero(t, a.Stats().Attached)
			})
		})
	}
}

// However a function that has asked for Destroy then fails, and whether the store does, too: its caller learns of both.
func TestFailedDestroyOfAFailedFunctionIsBothErrors(t *testing.T) {
	st := newFaultyStore()
	a := makeApp(t, st, nil)
	destroyAndFail := func(_ context.Context, s *bridge.Session) error { s.Destroy(); return errOfFn }
	result := make(chan error, 1)
	a.mux.HandleFunc("/http", func(w http.ResponseWriter, r *http.Request) {
		result <- a.WithSession(r, destroyAndFail, nil)
		w.WriteHeader(http.StatusTeapot)
	})
	a.mux.Handle("/socket", a.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
		result <- c.WithSession(ctx, destroyAndFail, nil)
		return readOn(ctx, c)
	}, nil))
	br := newBrowser(t, a.serve(t))
	br.ok("/inc")
	id := br.ok("/id")
	st.always(refuse(errStore), "Destroy")
	both := func(err error) {
		t.Helper()
		require.ErrorIs(t, err, errOfFn)
		require.ErrorIs(t, err, bridge.ErrStoreUnavailable)
	}
	ws := br.dial("/socket")
	both(receive(t, result))
	both(a.UpdateByID(t.Context(), id, destroyAndFail))
	require.Equal(t, http.StatusServiceUnavailable, br.get("/http").status, "Destroy stays asked for, and can't be done")
	both(receive(t, result))
	st.heal()
	require.Equal(t, "2", br.ok("/inc"), "the session is alive")
	br.ok("/logout")
	require.Equal(t, bridge.CodeDestroyed, ws.closed())
}
