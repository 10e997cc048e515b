package bridge_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/gorilla/sessions"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// end ends a gorilla session as such code does.
func end(gs *sessions.Session) { gs.Options.MaxAge = -1 }

func TestEndOfAnotherGorillaSessionEndsNothingElse(t *testing.T) {
	l := newLegacy(t, livestore.New(), nil)
	l.native(func(s *bridge.Session) { require.NoError(t, s.Login("ada")); s.Set("native", true) })
	l.with("sid", func(gs *sessions.Session) { gs.Values["main"] = 1 })
	l.with("oauth", func(gs *sessions.Session) {
		require.True(t, gs.IsNew)
		require.Empty(t, gs.Values)
		gs.Values["state"], gs.Values["main"] = "s3cret", "another"
		gs.AddFlash("of oauth")
	})
	l.with("prefs", func(gs *sessions.Session) { gs.Values["state"] = "dark" })
	ends := testkit.Record[bridge.SessionDestroy](t, l.Bridge)
	id, cookie := l.pocket.Get(t, l.h, "/id").Body.String(), l.pocket["sid"]

	l.with("oauth", end)
	require.Equal(t, cookie, l.pocket["sid"])
	require.Equal(t, id, l.pocket.Get(t, l.h, "/id").Body.String())
	l.native(func(s *bridge.Session) { require.Equal(t, "ada", s.UserID()) })
	require.Empty(t, l.values("oauth"))
	require.Equal(t, map[any]any{"main": 1, "native": true}, l.values("sid"))
	require.Equal(t, map[any]any{"state": "dark"}, l.values("prefs"))
	require.Equal(t, map[string]any{"main": int64(1), "native": true}, l.seen(), "what other names hold is nobody else's")
	require.Empty(t, ends.Rest())

	l.with("sid", end)
	require.Equal(t, id, ends.Next().SessionID)
	require.NotContains(t, l.pocket, "sid")
	require.Empty(t, l.values("sid"))
	require.Empty(t, l.values("prefs"), "which was within it")
}

// The end of a name takes also what another request has put there since it was read.
func TestEndOfAnotherGorillaSessionTakesAllOfIt(t *testing.T) {
	l := newLegacy(t, livestore.New(), nil)
	l.with("oauth", func(gs *sessions.Session) { gs.Values["state"] = 1 })
	l.visit(func(w http.ResponseWriter, r *http.Request) {
		first, err := l.New(r, "oauth")
		require.NoError(t, err)
		second, err := l.New(r, "oauth")
		require.NoError(t, err)
		second.Values["late"] = true
		require.NoError(t, second.Save(r, w))
		end(first)
		require.NoError(t, first.Save(r, w))
		first.Options.MaxAge = second.Options.MaxAge
		first.Values = map[any]any{"again": true}
		require.NoError(t, first.Save(r, w))
	})
	require.Equal(t, map[any]any{"again": true}, l.values("oauth"))
}

func TestGorillaSessionsOfTwoNamesInOneRequestKeepEachOthersValues(t *testing.T) {
	l := newLegacy(t, livestore.New(), nil)
	l.visit(func(w http.ResponseWriter, r *http.Request) {
		auth, err := l.Get(r, "sid")
		require.NoError(t, err)
		prefs, err := l.Get(r, "prefs")
		require.NoError(t, err)
		same, err := l.Get(r, "prefs")
		require.NoError(t, err)
		require.Same(t, prefs, same)
		auth.Values["user"] = "ada"
		prefs.Values["user"] = "en"
		require.NoError(t, sessions.Save(r, w))
		delete(prefs.Values, "user")
		require.NoError(t, prefs.Save(r, w))
		auth.Values["again"] = true
		require.NoError(t, auth.Save(r, w))
	})
	require.Equal(t, map[any]any{"user": "ada", "again": true}, l.values("sid"))
	require.Empty(t, l.values("prefs"))
}

// Whatever names are made of, they are no prefix of one another.
func TestGorillaNamesDontRunIntoOneAnother(t *testing.T) {
	l := newLegacy(t, livestore.New(), nil)
	names := []string{"a", "a:b", "a%3Ab", "a b", "a+b", "ä", "_gorilla_1:", ":", "1"}
	for i, name := range names {
		l.visit(func(w http.ResponseWriter, r *http.Request) {
			gs, err := l.New(r, name) // past the registry, which takes cookie names only
			require.NoError(t, err)
			for _, key := range []string{"k", "b:k", ":k", ""} {
				require.NotContains(t, gs.Values, key)
				gs.Values[key] = i
			}
			require.NoError(t, gs.Save(r, w))
		})
	}
	for i, name := range names {
		l.visit(func(_ http.ResponseWriter, r *http.Request) {
			gs, err := l.New(r, name)
			require.NoError(t, err)
			require.Equal(t, map[any]any{"k": i, "b:k": i, ":k": i, "": i}, gs.Values, name)
		})
	}
	require.Empty(t, l.seen())
}

func TestGorillaNameSaysWhichOneIsTheBridgesOwn(t *testing.T) {
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	l := newLegacy(t, livestore.New(), &bridge.Options{Keys: [][]byte{testkit.Key()}, GorillaName: "session-name", Logger: logger})
	l.with("session-name", func(gs *sessions.Session) { gs.Values["n"] = int64(5) })
	require.Equal(t, map[string]any{"n": int64(5)}, l.seen())
	require.NotContains(t, log.String(), "GorillaName")
	l.with("sid", func(gs *sessions.Session) { gs.Values["other"] = 1 })
	l.with("prefs", func(gs *sessions.Session) { gs.Values["other"] = 1 })
	require.Equal(t, map[string]any{"n": int64(5)}, l.seen())
	require.Equal(t, 1, strings.Count(log.String(), "Options.GorillaName"), "said once")
	l.with("sid", end)
	require.Equal(t, map[string]any{"n": int64(5)}, l.seen())
	l.with("session-name", end)
	require.Empty(t, l.seen())
}

// After its end in the same request a session begins anew, with all that it holds.
func TestGorillaSessionThatHasEndedBeginsAnew(t *testing.T) {
	l := newLegacy(t, livestore.New(), nil)
	var first, second string
	l.with("sid", func(gs *sessions.Session) { gs.Values["kept"], first = 1, gs.ID })
	l.visit(func(w http.ResponseWriter, r *http.Request) {
		gs, err := l.Get(r, "sid")
		require.NoError(t, err)
		age := gs.Options.MaxAge
		end(gs)
		require.NoError(t, gs.Save(r, w))
		gs.Options.MaxAge = age
		require.NoError(t, gs.Save(r, w))
	})
	second = l.pocket.Get(t, l.h, "/id").Body.String()
	require.NotEqual(t, first, second)
	require.Equal(t, map[any]any{"kept": 1}, l.values("sid"))
}
