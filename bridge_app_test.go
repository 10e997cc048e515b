package sessionbridge_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/store"
)

// patience is how long a test waits for what must happen: far longer than it takes on a loaded machine.
const patience = time.Minute

// app is a small application over a Bridge, on a listener of its own.
type app struct {
	bridge *bridge.Bridge
	mux    *http.ServeMux
	server *httptest.Server
	stop   func() // ends it, in the order in which a program would; the test's end does it, too
}

func start(t *testing.T, st store.Store, opts *bridge.Options) *app {
	t.Helper()
	a := build(t, st, opts)
	a.server.Start()
	return a
}

// build returns an application that is not started.
func build(t *testing.T, st store.Store, opts *bridge.Options) *app {
	t.Helper()
	b, err := bridge.New(st, opts)
	require.NoError(t, err)
	a := &app{bridge: b, mux: http.NewServeMux()}
	a.route()
	a.server = httptest.NewUnstartedServer(b.Handler(a.mux))
	var once sync.Once
	a.stop = func() { once.Do(func() { a.shutdown(t) }) }
	t.Cleanup(a.stop)
	return a
}

func (a *app) shutdown(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	defer cancel()
	a.server.Client().CloseIdleConnections() // one that never had a request would keep Shutdown waiting 5 s
	require.NoError(t, a.server.Config.Shutdown(ctx))
	require.NoError(t, a.bridge.Shutdown(ctx))
	a.server.Close()
}

var count = bridge.NewKey[int]("count")

// increment is the one function that HTTP and sockets share.
func increment(_ context.Context, s *bridge.Session) (string, error) {
	n, _ := count.Get(s)
	count.Set(s, n+1)
	return strconv.Itoa(n + 1), nil
}

func (a *app) route() {
	a.mux.HandleFunc("/increment", func(w http.ResponseWriter, r *http.Request) {
		answer(w, func() (string, error) {
			return bridge.WithSession(r.Context(), a.bridge.For(r), increment, nil)
		})
	})
	a.page("/count", func(_ *http.Request, s *bridge.Session) (string, error) {
		n, _ := count.Get(s)
		return strconv.Itoa(n), nil
	})
	a.page("/id", func(r *http.Request, s *bridge.Session) (string, error) {
		if r.URL.RawQuery == "new" {
			count.Set(s, 0)
		}
		return s.ID(), nil
	})
	a.page("/client", func(_ *http.Request, s *bridge.Session) (string, error) { return s.ClientID(), nil })
	a.page("/user", func(_ *http.Request, s *bridge.Session) (string, error) { return s.UserID(), nil })
	a.page("/login", func(r *http.Request, s *bridge.Session) (string, error) {
		user := r.FormValue("user")
		return user, s.Login(user)
	})
	a.page("/rotate", func(_ *http.Request, s *bridge.Session) (string, error) { return "", s.Rotate() })
	a.page("/logout", func(_ *http.Request, s *bridge.Session) (string, error) {
		s.Logout()
		return "bye", nil
	})
	a.mux.Handle("/socket", a.bridge.WebSocket(a.talk, nil))
}

// page adds a page that works on the request's own session.
func (a *app) page(path string, do func(*http.Request, *bridge.Session) (string, error)) {
	a.mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
		answer(w, func() (string, error) {
			s, err := a.bridge.Session(r)
			if err != nil {
				return "", err
			}
			return do(r, s)
		})
	})
}

func answer(w http.ResponseWriter, do func() (string, error)) {
	body, err := do()
	if err != nil {
		http.Error(w, err.Error(), bridge.HTTPStatus(err))
		return
	}
	io.WriteString(w, body)
}

// talk answers the messages of a socket, each on the session.
func (a *app) talk(ctx context.Context, c *bridge.Conn) error {
	for {
		kind, message, err := c.Read(ctx)
		if err != nil {
			return err
		}
		reply, err := bridge.WithSession(ctx, c, func(ctx context.Context, s *bridge.Session) (string, error) {
			switch string(message) {
			case "increment":
				return increment(ctx, s)
			case "count":
				n, _ := count.Get(s)
				return strconv.Itoa(n), nil
			case "id":
				return s.ID(), nil
			case "user":
				return s.UserID(), nil
			case "expire":
				s.SetIdleTimeout(time.Millisecond)
				return "soon", nil
			}
			return "", fmt.Errorf("no command %q", message)
		}, bridge.Fallback("no session"))
		if err != nil {
			return err
		}
		if err := c.Write(ctx, kind, []byte(reply)); err != nil {
			return err
		}
	}
}

func newKey() []byte {
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	return key
}
