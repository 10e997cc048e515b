package bridge_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/store"
)

// refusal is a reason for which a request's changes can't be stored.
type refusal struct {
	status int
	is     error
	client bool // has caused it
	// change is what the handler does to the session, and what happens to that meanwhile.
	change func(w *refusalWorld, s *bridge.Session) error
}

// refusalWorld is an application whose commits fail.
type refusalWorld struct {
	*testkit.App
	st  *teststore.Faulty
	h   http.Handler
	tab webclient.Pocket // another tab of the same browser
}

// refusals has every kind of error that a commit can end with.
var refusals = map[string]refusal{
	"another tab logs out": {http.StatusUnauthorized, bridge.ErrSessionGone, true, func(w *refusalWorld, s *bridge.Session) error {
		s.Set("k", 1)
		_, err := w.DestroyByID(context.Background(), s.ID())
		return err
	}},
	"too large": {http.StatusRequestEntityTooLarge, bridge.ErrSessionTooLarge, true, func(_ *refusalWorld, s *bridge.Session) error {
		s.Set("k", strings.Repeat("x", 64<<10))
		return nil
	}},
	"another tab logs in": {http.StatusConflict, bridge.ErrTokenRotated, true, func(w *refusalWorld, s *bridge.Session) error {
		r, err := http.NewRequest(http.MethodGet, "/login?user=bob", nil)
		if err != nil {
			return err
		}
		w.tab.Send(w.h, r)
		return s.Login("ada") // of the same user it would be as good as the first
	}},
	"others keep changing it": {http.StatusConflict, bridge.ErrConflict, true, func(w *refusalWorld, s *bridge.Session) error {
		w.st.Always(teststore.Refuse(store.ErrConflict), "Set")
		s.Set("k", 1)
		return nil
	}},
	"too many sessions of the user": {http.StatusForbidden, bridge.ErrTooManySessions, true, func(_ *refusalWorld, s *bridge.Session) error {
		return s.Login("elsewhere")
	}},
	"a key that is reserved": {http.StatusInternalServerError, nil, false, func(_ *refusalWorld, s *bridge.Session) error {
		s.Set("_flash", 1)
		return nil
	}},
	"a value that can't be encoded": {http.StatusInternalServerError, nil, false, func(_ *refusalWorld, s *bridge.Session) error {
		s.Set("k", func() {})
		return nil
	}},
	"a timeout out of range": {http.StatusInternalServerError, nil, false, func(_ *refusalWorld, s *bridge.Session) error {
		s.SetIdleTimeout(1)
		return nil
	}},
	"an outage": {http.StatusServiceUnavailable, bridge.ErrStoreUnavailable, false, func(w *refusalWorld, s *bridge.Session) error {
		w.st.Always(teststore.Refuse(errors.New("down")), "Set")
		s.Set("k", 1)
		return nil
	}},
}

// newRefusing returns an application with a session of the tab, whose pages /commit and /within
// fail for the reason. Its log goes to w.
func newRefusing(t *testing.T, why refusal, opts *bridge.Options) *refusalWorld {
	t.Helper()
	opts.Keys, opts.MaxSessionsPerUser, opts.OnTooManySessions = [][]byte{testkit.Key()}, 1, bridge.RefuseLogin
	w := &refusalWorld{st: teststore.NewFaulty(), tab: webclient.Pocket{}}
	w.App = testkit.NewApp(t, w.st, opts)
	w.Mux.HandleFunc("/commit", func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Access-Control-Allow-Origin", "https://app.example")
		rw.Header().Set("Timing-Allow-Origin", "*")
		rw.Header().Add("Vary", "Origin")
		rw.Header().Set("Etag", `"of the answer that isn't sent"`)
		s, err := w.Session(r)
		require.NoError(t, err)
		require.NoError(t, why.change(w, s))
		_, _ = io.WriteString(rw, "a success")
	})
	w.Mux.HandleFunc("/within", func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Access-Control-Allow-Origin", "https://app.example")
		rw.Header().Set("Timing-Allow-Origin", "*")
		rw.Header().Add("Vary", "Origin")
		err := w.WithSession(r, func(_ context.Context, s *bridge.Session) error { return why.change(w, s) }, nil)
		if why.is != nil {
			require.ErrorIs(t, err, why.is)
		}
		w.WriteError(rw, r, err)
	})
	inner := w.Handler(w.Mux)
	w.h = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("X-Request-Id", "7")
		inner.ServeHTTP(rw, r)
	})
	require.Equal(t, http.StatusOK, webclient.Pocket{}.Get(t, w.h, "/login?user=elsewhere").Code)
	require.Equal(t, http.StatusOK, w.tab.Get(t, w.h, "/inc").Code)
	return w
}

func TestOneTableOfErrorsForBothWays(t *testing.T) {
	for name, why := range refusals {
		for _, path := range []string{"/commit", "/within"} {
			t.Run(name+path, func(t *testing.T) {
				var log bytes.Buffer
				a := newRefusing(t, why, &bridge.Options{
					Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
				})
				var failures atomic.Int64
				a.OnFailure(func(bridge.Failure) { failures.Add(1) })
				log.Reset()
				rep := maps.Clone(a.tab).Get(t, a.h, path)
				require.Equal(t, why.status, rep.Code, rep.Body)
				if why.is != nil {
					require.Equal(t, why.status, bridge.HTTPStatus(why.is))
				}
				require.NotContains(t, rep.Body.String(), "a success")
				require.NotContains(t, rep.Body.String(), "bridge:", "err.Error() is for logs")
				require.Equal(t, "no-store", rep.Header().Get("Cache-Control"))
				require.Equal(t, "https://app.example", rep.Header().Get("Access-Control-Allow-Origin"))
				require.Equal(t, "*", rep.Header().Get("Timing-Allow-Origin"))
				require.Contains(t, rep.Header()["Vary"], "Origin")
				require.Equal(t, "7", rep.Header().Get("X-Request-Id"))
				require.Empty(t, rep.Header().Get("Etag"))
				if why.client {
					require.NotContains(t, log.String(), "level=ERROR")
					require.NotContains(t, log.String(), "level=WARN")
					require.Zero(t, a.Stats().FailedCommits)
				} else {
					require.Contains(t, log.String(), "level=ERROR")
				}
				if path == "/commit" {
					require.EqualValues(t, 1, a.Stats().FailedCommits+a.Stats().RefusedCommits)
				}
				a.st.Heal()
				require.NoError(t, a.Shutdown(t.Context())) // waits for the callbacks
				require.Equal(t, !why.client, failures.Load() > 0, "a failure is an event, too")
			})
		}
	}
}

// A change after the first byte is aborted whatever the reason, and a client's doing is no failure
// there either.
func TestClientsDoingAfterTheFirstByteIsNoFailure(t *testing.T) {
	var log bytes.Buffer
	a := testkit.NewApp(t, teststore.NewFaulty(), &bridge.Options{Keys: [][]byte{testkit.Key()}, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	a.Mux.HandleFunc("/late", func(w http.ResponseWriter, r *http.Request) {
		s, err := a.Session(r)
		require.NoError(t, err)
		_, _ = io.WriteString(w, "early")
		s.Set("k", strings.Repeat("x", 64<<10))
	})
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/inc")
	_, err := br.Try(t.Context(), "/late")
	require.Error(t, err)
	require.NotContains(t, log.String(), "level=ERROR")
	require.Zero(t, a.Stats().FailedCommits)
	require.NotZero(t, a.Stats().RefusedCommits) // the client repeats a request whose connection breaks
}

func TestHTTPStatusOfErrorsOfTheWorld(t *testing.T) {
	for status, errs := range map[int][]error{
		http.StatusOK:                  {nil},
		http.StatusBadRequest:          {bridge.ErrUserID, bridge.ErrConnID},
		http.StatusUnauthorized:        {bridge.ErrSessionMissing, bridge.ErrAuthAge},
		http.StatusForbidden:           {bridge.ErrOrigin, bridge.ErrTicket},
		http.StatusTooManyRequests:     {bridge.ErrTooManyConns, bridge.ErrTooManySessionConns, bridge.ErrTooManyAddrConns},
		http.StatusServiceUnavailable:  {bridge.ErrNodeSilent, bridge.ErrOverloaded, bridge.ErrShutdown, context.Canceled, context.DeadlineExceeded},
		http.StatusInternalServerError: {bridge.ErrHeadersSent, bridge.ErrNoMiddleware, bridge.ErrSessionClosed, &bridge.ValueError{}, errors.New("the application's")},
	} {
		for _, err := range errs {
			require.Equal(t, status, bridge.HTTPStatus(err), "%v", err)
		}
	}
}
