package bridge_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// A connection that is told to come back before the browser has its new cookies would be turned away: the answer leaves net/http, or a
// middleware that buffers it, only after the handler's return.
func TestReconnectCodeDoesNotOvertakeTheCookies(t *testing.T) {
	for name, buffers := range map[string]bool{"net/http": false, "TimeoutHandler": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := makeApp(t, livestore.New(), nil)
				h := a.Handler(a.mux)
				buffered := http.TimeoutHandler(h, time.Minute, "late")
				site := serveInMemory(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if buffers && r.URL.Path == "/login" { // which can't upgrade
						buffered.ServeHTTP(w, r)
						return
					}
					h.ServeHTTP(w, r)
				}))
				br := newBrowser(t, site)
				br.ok("/inc")
				ws := br.dial("/ws")
				ws.ask("id") // its handshake is over
				start := time.Now()
				closed := make(chan time.Duration, 1)
				go func() {
					assert.Equal(t, bridge.CodeReconnect, ws.closedEventually())
					closed <- time.Since(start)
				}()
				br.ok("/login?user=ada")
				answered := time.Since(start)
				at := <-closed
				require.Less(t, answered, at)
				require.Less(t, at, 5*time.Second)
				require.Equal(t, "2", br.dial("/ws").ask("inc"), "it comes back with the new cookies")
			})
		})
	}
}

// A connection whose handshake began before its client got another session doesn't stay on the older one, wherever in the handshake that was.
func TestNewSessionOfTheClientCutsConnectionsInTheirHandshake(t *testing.T) {
	type world struct {
		st      *faultyStore
		hijack  func() // is called in the middle of an upgrade
		replace func() // gives the client a new session
	}
	for name, plan := range map[string]func(w *world){
		"while the session is loaded": func(w *world) {
			w.st.next(1, "Get", func(_ context.Context, get func() error) error { defer w.replace(); return get() })
		},
		"during the upgrade": func(w *world) { w.hijack = w.replace },
		"while the session is looked at again": func(w *world) {
			w.st.next(2, "Get", func(_ context.Context, get func() error) error { defer w.replace(); return get() })
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := &world{st: newFaultyStore(), hijack: func() {}}
			a := makeApp(t, w.st, nil)
			site := serve(t, between(a.Handler(a.mux), func() { w.hijack() }))
			br := newBrowser(t, site)
			br.ok("/inc")
			id := br.ok("/id")
			other := br.another()
			other.setCookie("sid", "")
			w.replace = func() { other.get("/inc") }
			plan(w)
			require.Equal(t, bridge.CodeReconnect, br.dial("/ws").closed())
			newest, _ := a.SessionIDOf(snapshot(t, a, id).ClientID())
			require.NotEqual(t, id, newest)
			w.hijack = func() {}
			other.dial("/ws").ask("inc")
			require.Equal(t, "3", other.dial("/ws").ask("inc"), "the newer session's stay")
		})
	}
}

// Who waits for its turn during a login is not let in after it; but the session is alive, and nobody is told otherwise.
func TestConnectionThatALoginShutsOutDoesNotReportTheSessionsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := makeApp(t, livestore.New(), nil)
		inside, goOn := make(chan struct{}), make(chan struct{})
		a.page("/slowlogin", func(r *http.Request) (any, error) {
			return "in", a.WithSession(r, func(_ context.Context, s *bridge.Session) error {
				close(inside)
				<-goOn
				return s.Login("ada")
			}, nil)
		})
		tried := make(chan error, 1)
		a.mux.Handle("/wait", a.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
			<-inside
			err := c.WithSession(context.WithoutCancel(ctx), set("shut", "out"), nil)
			tried <- err
			return err
		}, nil))
		ended := record[bridge.SessionDestroy](t, a.Bridge)
		br := newBrowser(t, a.serveInMemory(t))
		br.ok("/inc")
		id := br.ok("/id")
		code := br.dial("/wait").whenClosed()
		answer := make(chan reply, 1)
		go func() { answer <- br.get("/slowlogin") }()
		synctest.Wait() // the connection waits for its turn
		close(goOn)
		require.ErrorIs(t, <-tried, bridge.ErrSessionMissing)
		require.Equal(t, http.StatusOK, (<-answer).status)
		require.Equal(t, bridge.CodeReconnect, <-code)
		require.Empty(t, ended.rest())
		_, shut := snapshot(t, a, id).Get("shut")
		require.False(t, shut)
		_, mapped := a.ClientIDOf(id)
		require.True(t, mapped)
	})
}
