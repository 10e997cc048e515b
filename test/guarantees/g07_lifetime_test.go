package guarantees_test

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// A guest's session is half an hour old when its user logs in; its lifetime is an hour. Activity
// never stops.
func TestG7_ExpiryIsOnTime_LoginStartsTheLifetimeAgain(t *testing.T) {
	for name, c := range map[string]struct {
		opts bridge.Options
		left time.Duration // after the login
	}{
		"reconnecting sockets": {left: time.Hour},
		"following sockets":    {bridge.Options{Rebind: bridge.Follow}, time.Hour},
		"kept":                 {bridge.Options{KeepLifetimeAtLogin: true}, 30 * time.Minute},
		"kept, following":      {bridge.Options{KeepLifetimeAtLogin: true, Rebind: bridge.Follow}, 30 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c.opts.IdleTimeout, c.opts.Lifetime = bridge.Off, time.Hour
				a := testkit.NewApp(t, livestore.New(), &c.opts)
				br := webclient.NewBrowser(t, a.ServeInMemory(t))
				began := time.Now()
				br.OK("/inc")
				id := br.OK("/id")
				before := br.Dial("/ws").Listen()
				time.Sleep(30 * time.Minute)
				in := br.Get("/login?user=ada")
				require.Equal(t, int(c.left/time.Second), maxAge(t, in.Header))
				loggedIn := time.Now()
				ws := before
				if c.opts.Rebind == bridge.Reconnect {
					require.Equal(t, bridge.CodeReconnect, before.ClosedEventually())
					ws = br.Dial("/ws").Listen()
				}
				info := testkit.Listed(t, a.Bridge, bridge.Filter{UserID: "ada"})
				require.Len(t, info, 1)
				require.Equal(t, began.UTC(), info[0].Created)
				require.Equal(t, loggedIn.Add(c.left).UTC(), info[0].Expires)
				for time.Since(loggedIn) < c.left-5*time.Minute {
					time.Sleep(5 * time.Minute)
					require.Equal(t, id, br.OK("/id"))
					ws.Ask("inc")
				}
				require.Equal(t, bridge.CodeExpired, ws.ClosedEventually())
				require.InDelta(t, c.left, time.Since(loggedIn), float64(time.Second))
				require.NotEqual(t, id, br.OK("/id"))
			})
		})
	}
}

// maxAge returns the Max-Age of the session cookie that a response sets.
func maxAge(t *testing.T, h http.Header) int {
	t.Helper()
	for _, c := range (&http.Response{Header: h}).Cookies() {
		if c.Name == "sid" {
			return c.MaxAge
		}
	}
	require.Fail(t, "no session cookie")
	return 0
}

// A session in constant use ends with its lifetime, and a login after that begins another one.
func TestG7_ExpiryIsOnTime_LoginDoesNotReviveAnExpiredSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), &bridge.Options{Lifetime: time.Hour, AutoCleanup: bridge.Off})
		h := a.Handler(a.Mux)
		p := webclient.Pocket{}
		p.Get(t, h, "/inc")
		id := p.Get(t, h, "/id").Body.String()
		time.Sleep(time.Hour)
		p.Get(t, h, "/login?user=ada")
		require.NotEqual(t, id, p.Get(t, h, "/id").Body.String())
		require.Equal(t, "0", p.Get(t, h, "/get").Body.String())
	})
}

// SetLifetime counts from the last login.
func TestG7_ExpiryIsOnTime_SetLifetimeCountsFromTheLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), testkit.Lasting())
		a.SessionPage("/remember", func(s *bridge.Session) (any, error) {
			s.SetLifetime(time.Hour)
			return "in", s.Login("ada")
		})
		h := a.Handler(a.Mux)
		p := webclient.Pocket{}
		p.Get(t, h, "/inc")
		id := p.Get(t, h, "/id").Body.String()
		time.Sleep(48 * time.Hour)
		require.Equal(t, http.StatusOK, p.Get(t, h, "/remember").Code)
		time.Sleep(time.Hour - time.Second)
		require.Equal(t, id, p.Get(t, h, "/id").Body.String())
		time.Sleep(time.Second)
		require.NotEqual(t, id, p.Get(t, h, "/id").Body.String())
	})
}

// leftOf requires that the stored session ends, and returns the time left.
func leftOf(t *testing.T, a *testkit.App, id string) time.Duration {
	t.Helper()
	left, ends := testkit.Snapshot(t, a, id).TimeLeft()
	require.True(t, ends)
	return left
}

// TimeLeft is the time to the idle deadline or to the end of the lifetime, and never negative.
func TestG7_ExpiryIsOnTime_TimeLeftForACountdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), testkit.Expiring(time.Hour))
		a.SessionPage("/left", func(s *bridge.Session) (any, error) {
			left, ends := s.TimeLeft()
			return fmt.Sprint(left, ends), nil
		})
		h := a.Handler(a.Mux)
		require.Equal(t, "0s false", webclient.Pocket{}.Get(t, h, "/left").Body.String(), "it isn't stored")
		p := webclient.Pocket{}
		p.Get(t, h, "/inc")
		id := p.Get(t, h, "/id").Body.String()
		require.Equal(t, testkit.Idle, leftOf(t, a, id))
		time.Sleep(testkit.Idle)
		require.Zero(t, leftOf(t, a, id))
		time.Sleep(testkit.Touch / 2)
		require.Zero(t, leftOf(t, a, id), "between the idle deadline and the end")

		require.NoError(t, a.Update(t, id, func(s *bridge.Session) { s.SetLifetime(testkit.Idle + testkit.Touch) }))
		require.Equal(t, testkit.Touch/2, leftOf(t, a, id), "the end of the lifetime comes first")
		require.NoError(t, a.Update(t, id, func(s *bridge.Session) { s.SetIdleTimeout(bridge.Off) }))
		require.Equal(t, testkit.Touch/2, leftOf(t, a, id))
		require.NoError(t, a.Update(t, id, func(s *bridge.Session) { s.SetLifetime(bridge.Off) }))
		left, ends := testkit.Snapshot(t, a, id).TimeLeft()
		require.False(t, ends)
		require.Zero(t, left)
	})
}

// A session that isn't used ends between IdleDeadline and Expires.
func TestG7_ExpiryIsOnTime_DeadlinesForACountdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), testkit.Expiring(time.Hour))
		h := a.Handler(a.Mux)
		p := webclient.Pocket{}
		p.Get(t, h, "/inc")
		id := p.Get(t, h, "/id").Body.String()
		began := time.Now().UTC()
		s := testkit.Snapshot(t, a, id)
		require.Equal(t, began.Add(testkit.Idle), s.IdleDeadline())
		require.Equal(t, began.Add(testkit.Idle+testkit.Touch), s.Expires())
		for time.Since(began) < 55*time.Minute {
			time.Sleep(5 * time.Minute)
			p.Get(t, h, "/get")
		}
		s = testkit.Snapshot(t, a, id)
		require.Equal(t, began.Add(55*time.Minute+testkit.Idle), s.IdleDeadline())
		require.Equal(t, began.Add(time.Hour), s.Expires(), "the lifetime's end comes first")

		require.NoError(t, a.Update(t, id, func(s *bridge.Session) { s.SetIdleTimeout(bridge.Off) }))
		s = testkit.Snapshot(t, a, id)
		require.Zero(t, s.IdleDeadline())
		require.Equal(t, began.Add(time.Hour), s.Expires())
	})
}
