package guarantees_test

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
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
)

// A Destroy whose reply was lost is noticed soon, even if the session isn't used again.
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
				st := teststore.NewFaulty()
				a := testkit.NewApp(t, st, nil)
				ended := testkit.Record[bridge.SessionDestroy](t, a.Bridge)
				br := webclient.NewBrowser(t, a.ServeInMemory(t))
				br.OK("/inc")
				id := br.OK("/id")
				ws := br.Dial("/ws")
				ws.Ask("id") // its handshake is over
				st.Next(1, "Destroy", teststore.LoseReply(teststore.ErrDiskFull))
				for n := range c.blind {
					st.Next(1+n, "Get", teststore.Refuse(teststore.ErrDiskFull))
				}
				start := time.Now()
				_, err := a.DestroyByID(t.Context(), id)
				require.ErrorIs(t, err, bridge.ErrStoreUnavailable)
				if c.retry {
					was, err := a.DestroyByID(t.Context(), id)
					require.NoError(t, err)
					require.False(t, was, "any more")
				}
				require.Equal(t, bridge.CodeDestroyed, ws.ClosedEventually())
				require.LessOrEqual(t, time.Since(start), c.within)
				require.Equal(t, bridge.ReasonDestroyed, ended.Next().Reason)
				synctest.Wait()
				require.Empty(t, ended.Rest(), "it ended once")
				require.Zero(t, a.Stats().Attached)
			})
		})
	}
}

// A Destroy that the store has refused ends nothing.
func TestRefusedDestroyLeavesTheSessionAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := teststore.NewFaulty()
		a := testkit.NewApp(t, st, nil)
		ended := testkit.Record[bridge.SessionDestroy](t, a.Bridge)
		br := webclient.NewBrowser(t, a.ServeInMemory(t))
		br.OK("/inc")
		id := br.OK("/id")
		ws := br.Dial("/ws")
		ws.Ask("id")
		st.Next(1, "Destroy", teststore.Refuse(teststore.ErrDiskFull))
		_, err := a.DestroyByID(t.Context(), id)
		require.ErrorIs(t, err, bridge.ErrStoreUnavailable)
		time.Sleep(10 * time.Second)
		require.Equal(t, "2", ws.Ask("inc"))
		require.Empty(t, ended.Rest())
	})
}

// Most handlers read with a context derived from their own. When it ends, the close frame is still
// on its way.
func TestCloseCodeReachesTheClientOfAReadWithADerivedContext(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		code int
		end  func(t *testing.T, a *testkit.App, br *webclient.Browser)
	}{
		"destroyed": {bridge.CodeDestroyed, func(t *testing.T, a *testkit.App, br *webclient.Browser) {
			_, err := a.DestroyByID(t.Context(), br.OK("/id"))
			require.NoError(t, err)
		}},
		"logged in": {bridge.CodeReconnect, func(_ *testing.T, _ *testkit.App, br *webclient.Browser) { br.OK("/login?user=ada") }},
		"expired":   {bridge.CodeExpired, func(*testing.T, *testkit.App, *webclient.Browser) { time.Sleep(2 * testkit.Idle) }},
		"shut down": {bridge.CodeShutdown, func(t *testing.T, a *testkit.App, _ *webclient.Browser) { require.NoError(t, a.Shutdown(t.Context())) }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := testkit.NewApp(t, teststore.NewFaulty(), testkit.Expiring(0))
				a.Mux.Handle("/derived", a.WebSocket(func(ctx context.Context, conn *bridge.Conn) error {
					for {
						one, cancel := context.WithTimeout(ctx, time.Hour)
						_, _, err := conn.Read(one)
						cancel()
						if err != nil {
							return err
						}
					}
				}, nil))
				br := webclient.NewBrowser(t, a.ServeInMemory(t))
				br.OK("/inc")
				var codes []<-chan int
				for range 20 { // which of the two is first is random
					codes = append(codes, br.Dial("/derived").WhenClosed())
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

// A caller that finds the session gone before its end is reported leaves the report to the caller
// that ended it, which knows the reason.
func TestEndIsReportedOnceByTheOneWhoEndedIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := teststore.NewFaulty()
		a := testkit.NewApp(t, st, nil)
		a.Mux.Handle("/busy", a.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
			for {
				if _, _, err := c.Read(ctx); err != nil {
					return err
				}
				_ = c.WithSession(ctx, testkit.Set("k", 1), nil) // the session is over
			}
		}, nil))
		ended := testkit.Record[bridge.SessionDestroy](t, a.Bridge)
		br := webclient.NewBrowser(t, a.ServeInMemory(t))
		br.OK("/inc")
		ws := br.Dial("/busy")
		code := ws.WhenClosed()
		other := br.Another()
		st.Next(1, "Destroy", func(ctx context.Context, destroy func() error) error {
			err := destroy()
			ws.Say("are you there?")
			go other.Get("/get")
			synctest.Wait() // both have found nothing
			return err
		})
		br.OK("/logout")
		require.Equal(t, bridge.CodeDestroyed, <-code)
		synctest.Wait()
		all := ended.Rest()
		require.Len(t, all, 1)
		require.Equal(t, bridge.ReasonLogout, all[0].Reason)
		require.Equal(t, bridge.ViaHTTP, all[0].Via)
	})
}

func TestExpiryThatTheStoreFailsToConfirmIsStillAnExpiry(t *testing.T) {
	for name, fail := range map[string]teststore.Fault{"refused": teststore.Refuse(teststore.ErrDiskFull), "done, but the reply lost": teststore.LoseReply(teststore.ErrDiskFull)} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st := teststore.NewFaulty()
				a := testkit.NewApp(t, st, testkit.Expiring(0))
				ended := testkit.Record[bridge.SessionDestroy](t, a.Bridge)
				br := webclient.NewBrowser(t, a.ServeInMemory(t))
				br.OK("/inc")
				st.Next(1, "Destroy", fail)
				require.Equal(t, bridge.CodeExpired, br.Dial("/ws").ClosedEventually())
				time.Sleep(time.Minute)
				all := ended.Rest()
				require.Len(t, all, 1)
				require.Equal(t, bridge.ReasonExpired, all[0].Reason)
				require.Zero(t, a.Stats().Attached)
			})
		})
	}
}

// If a function calls Destroy and then fails, and the store fails, too, its caller gets both
// errors.
func TestFailedDestroyOfAFailedFunctionIsBothErrors(t *testing.T) {
	st := teststore.NewFaulty()
	a := testkit.NewApp(t, st, nil)
	destroyAndFail := func(_ context.Context, s *bridge.Session) error { s.Destroy(); return testkit.ErrApp }
	result := make(chan error, 1)
	a.Mux.HandleFunc("/http", func(w http.ResponseWriter, r *http.Request) {
		result <- a.WithSession(r, destroyAndFail, nil)
		w.WriteHeader(http.StatusTeapot)
	})
	a.Mux.Handle("/socket", a.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
		result <- c.WithSession(ctx, destroyAndFail, nil)
		return readOn(ctx, c)
	}, nil))
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/inc")
	id := br.OK("/id")
	st.Always(teststore.Refuse(teststore.ErrDiskFull), "Destroy")
	both := func(err error) {
		t.Helper()
		require.ErrorIs(t, err, testkit.ErrApp)
		require.ErrorIs(t, err, bridge.ErrStoreUnavailable)
	}
	ws := br.Dial("/socket")
	both(await.Receive(t, result))
	both(a.UpdateByID(t.Context(), id, destroyAndFail))
	require.Equal(t, http.StatusServiceUnavailable, br.Get("/http").Status, "Destroy stays asked for, and can't be done")
	both(await.Receive(t, result))
	st.Heal()
	require.Equal(t, "2", br.OK("/inc"), "the session is alive")
	br.OK("/logout")
	require.Equal(t, bridge.CodeDestroyed, ws.Closed())
}
