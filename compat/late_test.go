package compat_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// begins are ways to begin a response that doesn't end before the handler does.
var begins = []struct {
	name  string
	begin func(w http.ResponseWriter)
}{
	{"flushed", func(w http.ResponseWriter) { w.(http.Flusher).Flush() }},
	{"flushed with a part", func(w http.ResponseWriter) {
		_, _ = io.WriteString(w, "part")
		_ = http.NewResponseController(w).Flush()
	}},
	{"still in the server's buffer", func(w http.ResponseWriter) { _, _ = io.WriteString(w, "part") }},
	{"still in the server's buffer, its length announced", func(w http.ResponseWriter) {
		w.Header().Set("Content-Length", "4")
		_, _ = io.WriteString(w, "part")
	}},
	{"larger than any buffer", func(w http.ResponseWriter) { _, _ = io.WriteString(w, strings.Repeat("part", 100_000)) }},
	{"copied", func(w http.ResponseWriter) { _, _ = io.Copy(w, strings.NewReader(strings.Repeat("part", 100_000))) }},
}

// Changes after the first byte are stored when the handler returns; if they can't be, the answer stays a torn one.
func TestG3_LateChanges(t *testing.T) {
	for _, way := range begins {
		t.Run(way.name, func(t *testing.T) {
			st := newStore()
			br := app(t, st, func(w http.ResponseWriter, r *http.Request, s *bridge.Session) {
				way.begin(w)
				s.Set("late", r.URL.RawQuery)
			})
			br.ok("/set?k=v")
			br.ok("/do?first")
			require.Equal(t, "first", br.value("late"))

			st.breakDown()
			br.broken("/do?second")
			st.heal()
			require.Equal(t, "first", br.value("late"))
			require.Equal(t, "v", br.value("k"))
		})
	}
}

// A new session needs a cookie, which can't be had any more: nothing is stored that the browser would never find again.
func TestG3_LateNewSessionIsAborted(t *testing.T) {
	for _, way := range begins {
		t.Run(way.name, func(t *testing.T) {
			st := newStore()
			br := app(t, st, func(w http.ResponseWriter, _ *http.Request, s *bridge.Session) {
				way.begin(w)
				s.Set("late", 1)
			})
			br.broken("/do")
			n, err := st.sessions(t.Context())
			require.NoError(t, err)
			require.Zero(t, n)
		})
	}
}

func TestLateWithSessionReportsItsError(t *testing.T) {
	st := newStore()
	b := newBridge(t, st, nil)
	errs := make(chan error, 3)
	mux := pages(b)
	mux.HandleFunc("/do", func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		set := func(_ context.Context, s *bridge.Session) error { s.Set("late", r.URL.RawQuery); return nil }
		errs <- b.WithSession(r, set, nil)
	})
	br := newBrowser(t, serve(t, b.Handler(mux)))
	br.ok("/do?first")
	require.ErrorIs(t, wait(t, errs), bridge.ErrHeadersSent, "a new session")
	br.ok("/set?k=v")
	br.ok("/do?second")
	require.NoError(t, wait(t, errs))
	require.Equal(t, "second", br.value("late"))
	st.breakDown()
	br.ok("/do?third")
	require.ErrorIs(t, wait(t, errs), bridge.ErrStoreUnavailable)
	require.Equal(t, "second", br.value("late"))
}

func TestLateLoginAndRotateAreRefused(t *testing.T) {
	errs := make(chan error, 2)
	br := app(t, newStore(), func(w http.ResponseWriter, _ *http.Request, s *bridge.Session) {
		w.(http.Flusher).Flush()
		errs <- s.Login("ada")
		errs <- s.Rotate()
	})
	br.ok("/set?k=v")
	br.ok("/do")
	require.ErrorIs(t, wait(t, errs), bridge.ErrHeadersSent)
	require.ErrorIs(t, wait(t, errs), bridge.ErrHeadersSent)
	require.Equal(t, "v", br.value("k"))
}

func TestLateLogoutEndsTheSession(t *testing.T) {
	st := newStore()
	br := app(t, st, func(w http.ResponseWriter, _ *http.Request, s *bridge.Session) {
		w.(http.Flusher).Flush()
		s.Logout()
	})
	br.ok("/set?k=v")
	br.ok("/do")
	require.Equal(t, "none", br.value("k"))
	n, err := st.sessions(t.Context())
	require.NoError(t, err)
	require.Zero(t, n)
}

// A handler that panics stores nothing more, but what it destroyed stays destroyed.
func TestPanic(t *testing.T) {
	for name, panicked := range map[string]any{"http.ErrAbortHandler": http.ErrAbortHandler, "error": errors.New("oops"), "string": "oops"} {
		t.Run(name, func(t *testing.T) {
			br := app(t, newStore(), func(w http.ResponseWriter, r *http.Request, s *bridge.Session) {
				s.Set("k", "changed")
				if r.URL.RawQuery == "flush" {
					w.(http.Flusher).Flush()
					s.Set("k", "changed again")
				}
				if r.URL.RawQuery == "destroy" {
					s.Destroy()
				}
				panic(panicked)
			})
			br.ok("/set?k=v")
			br.broken("/do")
			require.Equal(t, "v", br.value("k"))
			br.broken("/do?flush")
			require.Equal(t, "changed", br.value("k"), "what was stored before the first byte stays stored")
			br.broken("/do?destroy")
			require.Equal(t, "none", br.value("k"))
		})
	}
}

func TestPanicWithinWithSession(t *testing.T) {
	b := newBridge(t, newStore(), nil)
	mux := pages(b)
	mux.HandleFunc("/do", func(_ http.ResponseWriter, r *http.Request) {
		_ = b.WithSession(r, func(_ context.Context, s *bridge.Session) error {
			s.Set("k", "changed")
			if r.URL.RawQuery == "destroy" {
				s.Destroy()
			}
			panic("oops")
		}, nil)
	})
	br := newBrowser(t, serve(t, b.Handler(mux)))
	br.ok("/set?k=v")
	br.broken("/do")
	require.Equal(t, "v", br.value("k"), "and the session is not left locked")
	br.broken("/do?destroy")
	require.Equal(t, "none", br.value("k"))
}
