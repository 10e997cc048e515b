package guarantees_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// unwrapping is a middleware's ResponseWriter that has only Unwrap, as is common in access logs.
type unwrapping struct{ http.ResponseWriter }

// Unwrap serves http.ResponseController.
func (u unwrapping) Unwrap() http.ResponseWriter { return u.ResponseWriter }

// behindUnwrapping is h with such a middleware outside.
func behindUnwrapping(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(unwrapping{unwrapping{w}}, r) })
}

// controlled are the methods of a ResponseController that send the first byte and are found through
// Unwrap.
var controlled = map[string]func(*http.ResponseController) error{
	"Flush": func(c *http.ResponseController) error { return c.Flush() },
	"Hijack": func(c *http.ResponseController) error {
		conn, _, err := c.Hijack()
		if conn != nil {
			return errors.Join(err, conn.Close())
		}
		return err
	},
}

func TestG3_StoredBeforeSeen_BehindAMiddlewareThatOnlyUnwraps(t *testing.T) {
	for name, first := range controlled {
		t.Run(name, func(t *testing.T) {
			st := teststore.NewFaulty()
			a := testkit.NewApp(t, st, nil)
			a.Mux.HandleFunc("/first", func(w http.ResponseWriter, r *http.Request) {
				s, err := a.Session(r)
				require.NoError(t, err)
				s.Set("k", "v")
				_ = first(http.NewResponseController(w)) // a recorder can't be hijacked, and says so
				require.Equal(t, 1, st.Count("Set"))
			})
			w := &watched{httptest.NewRecorder(), func() bool { return st.Count("Set") > 0 }, nil}
			behindUnwrapping(a.Handler(a.Mux)).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/first", nil))
			require.Empty(t, w.early, "left before the change was stored")
			require.Len(t, w.Result().Cookies(), 2, "the session cookie and the client cookie")
		})
	}
}

func TestG3_StoredBeforeSeen_BehindAMiddlewareThatOnlyUnwraps_FailureIs503(t *testing.T) {
	for name, first := range controlled {
		t.Run(name, func(t *testing.T) {
			st := teststore.NewFaulty()
			st.Always(teststore.Refuse(errors.New("disk full")), "Set")
			a := testkit.NewApp(t, st, nil)
			failed := make(chan error, 1)
			a.Mux.HandleFunc("/first", func(w http.ResponseWriter, r *http.Request) {
				s, err := a.Session(r)
				if err == nil {
					s.Set("k", "v")
					err = first(http.NewResponseController(w))
				}
				failed <- err
			})
			br := webclient.NewBrowser(t, webclient.Serve(t, behindUnwrapping(a.Handler(a.Mux))))
			require.Equal(t, http.StatusServiceUnavailable, br.Get("/first").Status)
			require.ErrorIs(t, await.Receive(t, failed), bridge.ErrStoreUnavailable)
			require.Empty(t, br.Cookie("sid"))
		})
	}
}

// A connection's limits apply to the connection that Hijack returns, so they need the Hijack to be
// noticed, too.
func TestG12_NobodyCanStallIt_BehindAMiddlewareThatOnlyUnwraps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), nil)
		wrote := make(chan time.Duration, 1)
		a.Mux.Handle("/flood", a.WebSocket(flood(wrote), &bridge.ConnOptions{WriteTimeout: 3 * time.Second}))
		closed := testkit.Record[bridge.ConnClose](t, a.Bridge)
		br := webclient.NewBrowser(t, webclient.ServeInMemory(t, behindUnwrapping(a.Handler(a.Mux))))
		br.OK("/inc")
		br.Dial("/flood") // and never reads
		took := <-wrote
		require.GreaterOrEqual(t, took, 3*time.Second)
		require.LessOrEqual(t, took, 4*time.Second)
		closed.Next()

		br.Dial("/ws") // and never reads
		start := time.Now()
		br.OK("/logout")
		require.Equal(t, bridge.CodeDestroyed, closed.Next().Code)
		require.LessOrEqual(t, time.Since(start), time.Second)
	})
}

// HandshakeHeader stores the changes made before it. The Hijack stores later ones, or fails.
func TestG3_StoredBeforeSeen_ChangeBetweenHandshakeHeaderAndHijack(t *testing.T) {
	for name, down := range map[string]bool{"stored": false, "not stored": true} {
		t.Run(name, func(t *testing.T) {
			st := teststore.NewFaulty()
			a := testkit.NewApp(t, st, nil)
			hijacked := make(chan error, 1)
			a.Mux.HandleFunc("/upgrade", func(w http.ResponseWriter, r *http.Request) {
				s, err := a.Session(r)
				require.NoError(t, err)
				a.HandshakeHeader(r)
				require.ErrorIs(t, s.Login("ada"), bridge.ErrHeadersSent, "its cookie would not be in the header")
				if down {
					st.Always(teststore.Refuse(errors.New("disk full")), "Set")
				}
				s.Set("late", true)
				err = controlled["Hijack"](http.NewResponseController(w))
				hijacked <- err
			})
			br := webclient.NewBrowser(t, a.Serve(t))
			br.OK("/inc")
			id := br.OK("/id")
			rep, err := br.Try(t.Context(), "/upgrade")
			_, there := testkit.Snapshot(t, a, id).Get("late")
			require.Equal(t, !down, there)
			if !down {
				require.Error(t, err, "the connection was closed without an answer")
				require.NoError(t, await.Receive(t, hijacked))
				return
			}
			require.NoError(t, err)
			require.Equal(t, http.StatusServiceUnavailable, rep.Status)
			require.ErrorIs(t, await.Receive(t, hijacked), bridge.ErrStoreUnavailable)
		})
	}
}
