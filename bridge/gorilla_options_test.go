package bridge_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/sessions"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// cookieSetBy returns the session cookie that a response sets; nil: none.
func cookieSetBy(w *httptest.ResponseRecorder) *http.Cookie {
	for _, c := range w.Result().Cookies() {
		if c.Name == "sid" {
			return c
		}
	}
	return nil
}

// requireNoAge fails unless the response sets a cookie that ends with the browser's own session.
func requireNoAge(t testing.TB, w *httptest.ResponseRecorder) {
	t.Helper()
	c := cookieSetBy(w)
	require.NotNil(t, c, "no session cookie")
	require.NotEmpty(t, c.Value)
	require.Zero(t, c.MaxAge, c.Raw)
	require.True(t, c.Expires.IsZero(), c.Raw)
}

func TestGorillaMaxAgeZeroIsACookieThatEndsWithTheBrowser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLegacy(t, livestore.New(), &bridge.Options{RenewEvery: time.Hour})
		w := l.with("sid", func(gs *sessions.Session) {
			require.Equal(t, int(30*24*time.Hour/time.Second), gs.Options.MaxAge, "nobody has asked for anything else")
			gs.Options = &sessions.Options{Path: "/"}
			gs.Values["k"] = 1
		})
		requireNoAge(t, w)
		require.Nil(t, cookieSetBy(l.with("sid", func(gs *sessions.Session) {
			require.Zero(t, gs.Options.MaxAge, "it is remembered")
			gs.Values["k"] = 2
		})))
		requireNoAge(t, l.pocket.Get(t, l.h, "/login?user=ada"))
		requireNoAge(t, l.pocket.Get(t, l.h, "/rotate"))
		l.pocket.Get(t, l.h, "/get")
		time.Sleep(2 * time.Hour)
		requireNoAge(t, l.pocket.Get(t, l.h, "/get")) // a renewal
		l.native(func(s *bridge.Session) { s.Clear() })
		requireNoAge(t, l.pocket.Get(t, l.h, "/login?user=ada"))
		require.NoError(t, l.SetByID(t.Context(), l.pocket.Get(t, l.h, "/id").Body.String(), map[string]any{"k": 3}, 0))
		requireNoAge(t, l.pocket.Get(t, l.h, "/rotate"))
		require.Equal(t, map[string]any{"k": int64(3)}, l.seen())

		time.Sleep(30 * time.Minute)
		w = l.with("sid", func(gs *sessions.Session) { gs.Options.MaxAge = 3600 })
		require.Equal(t, 1800+3600, cookieSetBy(w).MaxAge, "the time since the login is in its lifetime")
		w = l.with("sid", func(gs *sessions.Session) { gs.Options.MaxAge = 0 })
		requireNoAge(t, w)
	})
}

func TestGorillaMaxAgeZeroOfAStoredSessionChangesItsCookieAtOnce(t *testing.T) {
	l := newLegacy(t, livestore.New(), nil)
	l.native(func(s *bridge.Session) { s.Set("k", 1) })
	value := l.pocket["sid"]
	w := l.with("sid", func(gs *sessions.Session) { gs.Options.MaxAge = 0 })
	requireNoAge(t, w)
	require.Equal(t, "1", l.pocket.Get(t, l.h, "/inc").Body.String())
	require.Equal(t, map[string]any{"k": int64(1), "n": int64(1)}, l.seen())
	require.NotEmpty(t, value)
}

func TestGorillaMaxAgeWhereCookiesEndWithTheBrowser(t *testing.T) {
	l := newLegacy(t, livestore.New(), &bridge.Options{Cookie: bridge.CookieBrowserSession})
	requireNoAge(t, l.with("sid", func(gs *sessions.Session) {
		require.Zero(t, gs.Options.MaxAge)
		gs.Values["k"] = 1
	}))
	w := l.with("sid", func(gs *sessions.Session) { gs.Options.MaxAge = 3600 })
	require.Equal(t, 3600, cookieSetBy(w).MaxAge)
	w = l.with("sid", func(gs *sessions.Session) { gs.Options.MaxAge = -1 })
	require.Equal(t, -1, cookieSetBy(w).MaxAge)
}

func TestGorillaMaxAgeIsALifetimeFromNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLegacy(t, livestore.New(), &bridge.Options{IdleTimeout: bridge.Off, AutoCleanup: bridge.Off})
		age := func(seconds int) {
			l.with("sid", func(gs *sessions.Session) {
				gs.Options = &sessions.Options{Path: "/", MaxAge: seconds, HttpOnly: true}
				gs.Values["k"] = seconds
			})
		}
		begun := time.Now().Truncate(time.Millisecond)
		expires := func() (at time.Duration) {
			l.native(func(s *bridge.Session) { at = s.Expires().Sub(begun) })
			return at
		}
		age(7 * 86400)
		require.Equal(t, 7*24*time.Hour, expires())
		time.Sleep(24 * time.Hour)
		age(3600)
		require.Equal(t, 25*time.Hour, expires(), "an hour from now, not from its beginning")
		time.Sleep(30 * time.Second)
		writes := l.Stats().Writes
		age(3600)
		require.Equal(t, writes, l.Stats().Writes, "no write with each request for some seconds more")
		time.Sleep(30 * time.Minute)
		age(3600)
		require.Equal(t, 25*time.Hour+30*time.Minute+30*time.Second, expires(), "each Save begins it anew")
		age(1 << 40)
		require.Greater(t, expires(), 50*365*24*time.Hour, "as long as there is")
		l.with("sid", func(gs *sessions.Session) { gs.Values["k"] = 0 })
		require.Greater(t, expires(), 50*365*24*time.Hour, "code that doesn't set it changes nothing")
		age(60)
		time.Sleep(61 * time.Second)
		require.Empty(t, l.values("sid"))
	})
}

// An empty new session isn't stored, whatever is asked of its cookie.
func TestGorillaOptionsAloneMakeNoSession(t *testing.T) {
	st := livestore.New()
	l := newLegacy(t, st, nil)
	for _, age := range []int{0, 60, -1} {
		require.Nil(t, cookieSetBy(l.with("sid", func(gs *sessions.Session) { gs.Options.MaxAge = age })))
	}
	require.Zero(t, teststore.StoredCount(t, st))
}

func TestGorillaOptionsOfAFailedSaveAreThoseOfTheNext(t *testing.T) {
	st := teststore.NewFaulty()
	l := newLegacy(t, st, nil)
	l.native(func(s *bridge.Session) { s.Set("k", 1) })
	for _, age := range []int{0, 60} {
		w := l.visit(func(w http.ResponseWriter, r *http.Request) {
			gs, err := l.Get(r, "sid")
			require.NoError(t, err)
			was := gs.Options.MaxAge
			gs.Options.MaxAge = age
			st.Next(1, "Set", teststore.Refuse(teststore.ErrDiskFull))
			require.Error(t, gs.Save(r, w))
			gs.Options.MaxAge, gs.Values["k"] = was, age
			require.NoError(t, gs.Save(r, w))
		})
		require.Equal(t, http.StatusOK, w.Code)
		require.Nil(t, cookieSetBy(w))
	}
	l.native(func(s *bridge.Session) { require.Greater(t, time.Until(s.Expires()), time.Hour) })
}

func TestGorillaOptionsThatAreIgnoredAreSaidOnce(t *testing.T) {
	var log bytes.Buffer
	opts := &bridge.Options{Keys: [][]byte{testkit.Key()}, Secure: bridge.SecureNever, DangerouslyInsecure: true, Logger: slog.New(slog.NewTextHandler(&log, nil))}
	l := newLegacy(t, livestore.New(), opts)
	said := func() string { defer log.Reset(); return log.String() }
	l.with("sid", func(gs *sessions.Session) { gs.Values["k"] = 1 })
	l.with("sid", func(gs *sessions.Session) {
		gs.Options = &sessions.Options{Path: "/", MaxAge: 86400, HttpOnly: true, SameSite: http.SameSiteLaxMode}
	})
	require.NotContains(t, said(), "ignored")
	for range 2 {
		l.with("sid", func(gs *sessions.Session) {
			gs.Options.SameSite, gs.Options.Domain = http.SameSiteStrictMode, "example.com"
		})
	}
	line := said()
	require.Equal(t, 1, strings.Count(line, "ignored"), line)
	require.Contains(t, line, "Domain, SameSite")
	l.with("sid", func(gs *sessions.Session) {
		gs.Options.Path, gs.Options.Secure, gs.Options.HttpOnly, gs.Options.Partitioned, gs.Options.Domain = "/app", true, false, true, "example.org"
	})
	require.Contains(t, said(), "Path, Secure, HttpOnly, Partitioned")
	l.with("prefs", func(gs *sessions.Session) { gs.Values["k"], gs.Options.MaxAge = 1, 0 })
	require.Contains(t, said(), "MaxAge (of a name")
	l.with("prefs", func(gs *sessions.Session) { gs.Options.MaxAge = 60 })
	require.NotContains(t, said(), "ignored")
}
