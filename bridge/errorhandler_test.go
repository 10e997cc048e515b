package bridge_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// ownAnswers are the requests that the Bridge itself answers with an error, each made of an
// application with the options.
var ownAnswers = map[string]struct {
	opts   bridge.Options
	status int
	is     error
	header string // that the answer has
	ask    func(t *testing.T, a *testkit.App, h http.Handler) *httptest.ResponseRecorder
}{
	"another origin": {status: http.StatusForbidden, is: bridge.ErrOrigin, ask: func(t *testing.T, _ *testkit.App, h http.Handler) *httptest.ResponseRecorder {
		return webclient.Pocket{}.Send(h, webclient.UpgradeRequest(t, "/ws", "Origin", "https://evil.example"))
	}},
	"no session": {status: http.StatusUnauthorized, is: bridge.ErrSessionMissing, ask: func(t *testing.T, _ *testkit.App, h http.Handler) *httptest.ResponseRecorder {
		return webclient.Pocket{}.Send(h, webclient.UpgradeRequest(t, "/members"))
	}},
	"a ticket that opens nothing": {status: http.StatusUnauthorized, is: bridge.ErrTicket, ask: func(t *testing.T, _ *testkit.App, h http.Handler) *httptest.ResponseRecorder {
		return webclient.Pocket{}.Send(h, webclient.UpgradeRequest(t, "/ws", "Sec-Websocket-Protocol", "sessionbridge, sessionbridge.ticket.x"))
	}},
	"a ticket that opens nothing, at another upgrader": {status: http.StatusUnauthorized, is: bridge.ErrTicket, ask: func(t *testing.T, _ *testkit.App, h http.Handler) *httptest.ResponseRecorder {
		return webclient.Pocket{}.Send(h, webclient.UpgradeRequest(t, "/foreign", "Sec-Websocket-Protocol", "sessionbridge, sessionbridge.ticket.x"))
	}},
	"a connection ID that is none": {status: http.StatusBadRequest, is: bridge.ErrConnID, ask: func(t *testing.T, _ *testkit.App, h http.Handler) *httptest.ResponseRecorder {
		return webclient.Pocket{}.Send(h, webclient.UpgradeRequest(t, "/named"))
	}},
	"too many handshakes": {
		opts: bridge.Options{HandshakesPerSecond: 1e-9, HandshakeBurst: 1}, status: http.StatusServiceUnavailable, is: bridge.ErrOverloaded, header: "Retry-After",
		ask: func(t *testing.T, _ *testkit.App, h http.Handler) *httptest.ResponseRecorder {
			webclient.Pocket{}.Send(h, webclient.UpgradeRequest(t, "/members"))
			return webclient.Pocket{}.Send(h, webclient.UpgradeRequest(t, "/members"))
		},
	},
	"a plain request to a socket": {status: http.StatusUpgradeRequired, is: bridge.ErrHandshake, header: "Upgrade", ask: func(t *testing.T, _ *testkit.App, h http.Handler) *httptest.ResponseRecorder {
		return webclient.Pocket{}.Get(t, h, "/ws")
	}},
	"a handshake of another version": {status: http.StatusBadRequest, is: bridge.ErrHandshake, header: "Sec-Websocket-Version", ask: func(t *testing.T, _ *testkit.App, h http.Handler) *httptest.ResponseRecorder {
		return webclient.Pocket{}.Send(h, webclient.UpgradeRequest(t, "/ws", "Sec-Websocket-Version", "12"))
	}},
	"shutting down": {status: http.StatusServiceUnavailable, is: bridge.ErrShutdown, header: "Retry-After", ask: func(t *testing.T, a *testkit.App, h http.Handler) *httptest.ResponseRecorder {
		require.NoError(t, a.Shutdown(t.Context()))
		return webclient.Pocket{}.Send(h, webclient.UpgradeRequest(t, "/ws"))
	}},
	"a login too old": {status: http.StatusUnauthorized, is: bridge.ErrAuthAge, ask: func(t *testing.T, _ *testkit.App, h http.Handler) *httptest.ResponseRecorder {
		return webclient.Pocket{}.Get(t, h, "/sensitive")
	}},
	"a handler's ConnOptions": {status: http.StatusInternalServerError, ask: func(t *testing.T, _ *testkit.App, h http.Handler) *httptest.ResponseRecorder {
		return webclient.Pocket{}.Send(h, webclient.UpgradeRequest(t, "/misconfigured"))
	}},
	"a session that is gone": {status: http.StatusUnauthorized, is: bridge.ErrSessionGone, ask: func(t *testing.T, _ *testkit.App, h http.Handler) *httptest.ResponseRecorder {
		p := webclient.Pocket{}
		require.Equal(t, http.StatusOK, p.Get(t, h, "/inc").Code)
		return p.Get(t, h, "/endedby")
	}},
}

// newAnswering returns the application of ownAnswers.
func newAnswering(t *testing.T, opts bridge.Options) (*testkit.App, http.Handler) {
	t.Helper()
	opts.Keys = [][]byte{testkit.Key()}
	a := testkit.NewApp(t, livestore.New(), &opts)
	a.Mux.Handle("/members", a.WebSocket(testkit.Converse, &bridge.ConnOptions{OnMissing: bridge.RefuseMissing}))
	a.Mux.Handle("/named", a.WebSocket(testkit.Converse, &bridge.ConnOptions{ID: func(*http.Request) string { return "a b" }}))
	a.Mux.Handle("/misconfigured", a.WebSocket(testkit.Converse, &bridge.ConnOptions{MaxMessageBytes: -7}))
	a.Mux.HandleFunc("/foreign", func(_ http.ResponseWriter, r *http.Request) { a.HandshakeHeader(r) })
	a.Mux.Handle("/sensitive", a.RequireAuthAge(time.Minute, http.NotFoundHandler()))
	a.SessionPage("/endedby", func(s *bridge.Session) (any, error) {
		_, err := a.DestroyByID(t.Context(), s.ID())
		s.Set("k", 1)
		return "stored", err
	})
	return a, a.Handler(a.Mux)
}

func TestErrorHandlerComposesEveryAnswerOfTheBridge(t *testing.T) {
	for name, c := range ownAnswers {
		t.Run(name, func(t *testing.T) {
			var got error
			var seen http.Header
			opts := c.opts
			opts.ErrorHandler = func(w http.ResponseWriter, r *http.Request, err error) {
				got, seen = err, w.Header().Clone()
				w.Header().Set("X-Path", r.URL.Path)
				w.WriteHeader(bridge.HTTPStatus(err))
				_, _ = io.WriteString(w, "mine")
			}
			a, h := newAnswering(t, opts)
			rep := c.ask(t, a, h)
			require.Equal(t, c.status, rep.Code)
			require.Equal(t, "mine", rep.Body.String())
			require.NotEmpty(t, rep.Header().Get("X-Path"))
			require.Equal(t, "no-store", rep.Header().Get("Cache-Control"))
			require.Error(t, got)
			if c.is != nil {
				require.ErrorIs(t, got, c.is)
			}
			require.Equal(t, "no-store", seen.Get("Cache-Control"), "it is set before")
			if c.header != "" {
				require.NotEmpty(t, seen.Get(c.header))
				require.NotEmpty(t, rep.Header().Get(c.header))
			}
		})
	}
}

func TestDefaultAnswersTellNoInternals(t *testing.T) {
	for name, c := range ownAnswers {
		t.Run(name, func(t *testing.T) {
			a, h := newAnswering(t, c.opts)
			rep := c.ask(t, a, h)
			require.Equal(t, c.status, rep.Code)
			require.Equal(t, "text/plain; charset=utf-8", rep.Header().Get("Content-Type"))
			require.Equal(t, "nosniff", rep.Header().Get("X-Content-Type-Options"))
			require.NotContains(t, rep.Body.String(), "bridge")
			require.NotEmpty(t, rep.Body.String())
		})
	}
}

// failingWith returns the answer to a request whose session can't be stored, with cookies due from
// an earlier commit of it.
func failingWith(t *testing.T, log io.Writer, handler func(http.ResponseWriter, *http.Request, error)) *httptest.ResponseRecorder {
	t.Helper()
	a := testkit.NewApp(t, teststore.NewFaulty(), &bridge.Options{
		Keys: [][]byte{testkit.Key()}, ErrorHandler: handler, Logger: slog.New(slog.NewTextHandler(log, nil)),
	})
	a.SessionPage("/twice", func(s *bridge.Session) (any, error) { return nil, s.Login("ada") })
	a.Mux.HandleFunc("/lost", func(w http.ResponseWriter, r *http.Request) {
		err := a.WithSession(r, func(_ context.Context, s *bridge.Session) error { return s.Login("ada") }, nil)
		require.NoError(t, err)
		s, err := a.Session(r)
		require.NoError(t, err)
		s.Set("k", func() {})
		_, _ = io.WriteString(w, "a success")
	})
	return webclient.Pocket{}.Get(t, a.Handler(a.Mux), "/lost")
}

func TestAnswerOfErrorHandlerIsNeverASuccessNorCached(t *testing.T) {
	for name, c := range map[string]struct {
		handler func(w http.ResponseWriter, r *http.Request, err error)
		status  int
		body    string
	}{
		"no status": {func(w http.ResponseWriter, _ *http.Request, _ error) { fmt.Fprint(w, "mine") }, 500, "mine"},
		"200": {func(w http.ResponseWriter, _ *http.Request, _ error) {
			w.WriteHeader(http.StatusOK)
			fmt.Fprint(w, "mine")
		}, 500, "mine"},
		"204":         {func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusNoContent) }, 500, ""},
		"304":         {func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusNotModified) }, 500, ""},
		"999":         {func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(999) }, 500, ""},
		"a hint only": {func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusEarlyHints) }, 500, "The session could not be stored.\n"},
		"a redirect": {func(w http.ResponseWriter, r *http.Request, _ error) {
			http.Redirect(w, r, "/login", http.StatusSeeOther)
		}, 303, "<a href=\"/login\">See Other</a>.\n\n"},
		"caching": {func(w http.ResponseWriter, _ *http.Request, _ error) {
			w.Header().Set("Cache-Control", "public, max-age=3600")
			w.Header().Set("Expires", "Thu, 01 Dec 2994 16:00:00 GMT")
			w.Header().Set("CDN-Cache-Control", "max-age=60")
			w.Header().Set("Surrogate-Control", "max-age=60")
			w.Header().Set("X-Accel-Expires", "60")
			w.Header().Del("Set-Cookie")
			w.WriteHeader(http.StatusTeapot)
		}, http.StatusTeapot, ""},
		"nothing": {func(http.ResponseWriter, *http.Request, error) {}, 500, "The session could not be stored.\n"},
		"a panic": {func(w http.ResponseWriter, _ *http.Request, _ error) {
			w.Header().Set("X-Half", "1")
			fmt.Fprint(w, "half")
			panic(testkit.Panics{})
		}, 500, "The session could not be stored.\n"},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			rep := failingWith(t, &log, c.handler)
			require.Equal(t, c.status, rep.Code)
			require.Equal(t, c.body, rep.Body.String())
			require.Equal(t, fmt.Sprint(len(c.body)), rep.Header().Get("Content-Length"))
			require.Equal(t, []string{"no-store"}, rep.Header()["Cache-Control"])
			for _, name := range []string{"Expires", "Cdn-Cache-Control", "Surrogate-Control", "X-Accel-Expires", "X-Half"} {
				require.Empty(t, rep.Header().Get(name))
			}
			require.Len(t, rep.Header()["Set-Cookie"], 2, "the session that was stored before keeps its cookies")
			if name == "a panic" {
				require.Contains(t, log.String(), "error handler panicked")
				require.Contains(t, log.String(), "errorhandler_test.go", "with the stack")
			}
		})
	}
}

// An ErrorHandler may use the Bridge: no lock is held, and its own errors don't come back to it.
func TestErrorHandlerMayUseTheBridge(t *testing.T) {
	var a *testkit.App
	calls := 0
	opts := &bridge.Options{Keys: [][]byte{testkit.Key()}}
	opts.ErrorHandler = func(w http.ResponseWriter, r *http.Request, err error) {
		calls++
		s, e := a.Session(r)
		if e == nil {
			_, _ = s.Get("k")
			s.Set("k", 2)
		}
		a.Stats()
		a.WriteError(w, r, err)
	}
	a = testkit.NewApp(t, livestore.New(), opts)
	a.SessionPage("/lost", func(s *bridge.Session) (any, error) { s.Set("k", func() {}); return "a success", nil })
	rep := webclient.Pocket{}.Get(t, a.Handler(a.Mux), "/lost")
	require.Equal(t, http.StatusInternalServerError, rep.Code)
	require.Equal(t, "The session could not be stored.\n", rep.Body.String())
	require.Equal(t, 1, calls)
}

func TestWriteErrorReportsWhatTheClientIsNotTold(t *testing.T) {
	var log bytes.Buffer
	a := testkit.NewApp(t, livestore.New(), &bridge.Options{Keys: [][]byte{testkit.Key()}, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	for text, err := range map[string]error{"Internal Server Error\n": errors.New("select * from users"), "The user ID is invalid.\n": bridge.ErrUserID} {
		log.Reset()
		w := httptest.NewRecorder()
		a.WriteError(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil), err)
		require.Equal(t, bridge.HTTPStatus(err), w.Code)
		require.Equal(t, text, w.Body.String())
		require.Equal(t, w.Code >= 500, bytes.Contains(log.Bytes(), []byte("select * from users")))
	}
	w := httptest.NewRecorder()
	bridge.WriteError(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil), nil)
	require.Equal(t, http.StatusInternalServerError, w.Code, "never a success")
}

func TestErrorsAreJSONForClientsThatAskForIt(t *testing.T) {
	for accept, isJSON := range map[string]bool{
		"":    false,
		"*/*": false,
		"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8": false,
		"application/json":                  true,
		"application/problem+json":          true,
		"Application/Problem+JSON; q=0.3":   true,
		"application/vnd.api+json":          true,
		"application/json, text/plain, */*": true,
		"*/*, application/json":             true,
		"text/plain, application/json":      false,
		"text/html;q=0.5, application/json": true,
		"application/json;q=0.5, text/*":    false,
		"application/json;q=0.5, */*":       false,
		"application/json;q=0":              false,
		"application/json;q=x":              false,
		"application/json;q=NaN":            false,
		"text/event-stream":                 false,
		";;,,q=1":                           false,
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		if accept != "" {
			r.Header.Set("Accept", accept)
		}
		w := httptest.NewRecorder()
		bridge.WriteError(w, r, bridge.ErrTokenRotated)
		require.Equal(t, http.StatusConflict, w.Code)
		if !isJSON {
			require.Equal(t, "text/plain; charset=utf-8", w.Header().Get("Content-Type"), accept)
			continue
		}
		require.Equal(t, "application/problem+json", w.Header().Get("Content-Type"), accept)
		var problem map[string]any
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &problem))
		require.Equal(t, map[string]any{"title": "Conflict", "status": 409.0, "detail": "The session changed meanwhile. Try again."}, problem)
	}
}
