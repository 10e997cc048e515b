package guarantees_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// A connection that reconnects before the browser has its new cookies would be refused: the
// response leaves net/http, or a middleware that buffers it, only after the handler has returned.
func TestReconnectCodeDoesNotOvertakeTheCookies(t *testing.T) {
	for name, buffers := range map[string]bool{"net/http": false, "TimeoutHandler": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := testkit.NewApp(t, livestore.New(), nil)
				h := a.Handler(a.Mux)
				buffered := http.TimeoutHandler(h, time.Minute, "late")
				site := webclient.ServeInMemory(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if buffers && r.URL.Path == "/login" { // which can't upgrade
						buffered.ServeHTTP(w, r)
						return
					}
					h.ServeHTTP(w, r)
				}))
				br := webclient.NewBrowser(t, site)
				br.OK("/inc")
				ws := br.Dial("/ws")
				ws.Ask("id") // its handshake is over
				start := time.Now()
				closed := make(chan time.Duration, 1)
				go func() {
					assert.Equal(t, bridge.CodeReconnect, ws.ClosedEventually())
					closed <- time.Since(start)
				}()
				br.OK("/login?user=ada")
				answered := time.Since(start)
				at := <-closed
				require.Less(t, answered, at)
				require.Less(t, at, 5*time.Second)
				require.Equal(t, "2", br.Dial("/ws").Ask("inc"), "it comes back with the new cookies")
			})
		})
	}
}

// A connection whose handshake began before its client got another session doesn't stay on the
// older one, at whatever point of the handshake that was.
func TestNewSessionOfTheClientCutsConnectionsInTheirHandshake(t *testing.T) {
	type world struct {
		st      *teststore.Faulty
		hijack  func() // is called in the middle of an upgrade
		replace func() // gives the client a new session
	}
	for name, plan := range map[string]func(w *world){
		"while the session is loaded": func(w *world) {
			w.st.Next(1, "Get", func(_ context.Context, get func() error) error { defer w.replace(); return get() })
		},
		"during the upgrade": func(w *world) { w.hijack = w.replace },
		"while the session is looked at again": func(w *world) {
			w.st.Next(2, "Get", func(_ context.Context, get func() error) error { defer w.replace(); return get() })
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := &world{st: teststore.NewFaulty(), hijack: func() {}}
			a := testkit.NewApp(t, w.st, nil)
			site := webclient.Serve(t, testkit.BetweenUpgrade(a.Handler(a.Mux), func() { w.hijack() }))
			br := webclient.NewBrowser(t, site)
			br.OK("/inc")
			id := br.OK("/id")
			other := br.Another()
			other.SetCookie("sid", "")
			w.replace = func() { other.Get("/inc") }
			plan(w)
			require.Equal(t, bridge.CodeReconnect, br.Dial("/ws").Closed())
			newest, _ := a.SessionIDOf(testkit.Snapshot(t, a, id).ClientID())
			require.NotEqual(t, id, newest)
			w.hijack = func() {}
			other.Dial("/ws").Ask("inc")
			require.Equal(t, "3", other.Dial("/ws").Ask("inc"), "the newer session's stay")
		})
	}
}

// A connection that waits for the session's lock during a login doesn't get the session after it.
// The session is alive, and no end is reported.
func TestConnectionThatALoginShutsOutDoesNotReportTheSessionsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), nil)
		inside, goOn := make(chan struct{}), make(chan struct{})
		a.Page("/slowlogin", func(r *http.Request) (any, error) {
			return "in", a.WithSession(r, func(_ context.Context, s *bridge.Session) error {
				close(inside)
				<-goOn
				return s.Login("ada")
			}, nil)
		})
		tried := make(chan error, 1)
		a.Mux.Handle("/wait", a.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
			<-inside
			err := c.WithSession(context.WithoutCancel(ctx), testkit.Set("shut", "out"), nil)
			tried <- err
			return err
		}, nil))
		ended := testkit.Record[bridge.SessionDestroy](t, a.Bridge)
		br := webclient.NewBrowser(t, a.ServeInMemory(t))
		br.OK("/inc")
		id := br.OK("/id")
		code := br.Dial("/wait").WhenClosed()
		answer := make(chan webclient.Reply, 1)
		go func() { answer <- br.Get("/slowlogin") }()
		synctest.Wait() // the connection waits for its turn
		close(goOn)
		require.ErrorIs(t, <-tried, bridge.ErrSessionMissing)
		require.Equal(t, http.StatusOK, (<-answer).Status)
		require.Equal(t, bridge.CodeReconnect, <-code)
		require.Empty(t, ended.Rest())
		_, shut := testkit.Snapshot(t, a, id).Get("shut")
		require.False(t, shut)
		_, mapped := a.ClientIDOf(id)
		require.True(t, mapped)
	})
}
