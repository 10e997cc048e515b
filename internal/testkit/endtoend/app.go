package endtoend

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
	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
	"github.com/sessionbridge/sessionbridge/store"
)

// App is a small application on a listener of its own.
type App struct {
	Bridge *bridge.Bridge
	Mux    *http.ServeMux
	Server *httptest.Server
	Stop   func() // shuts the server down, then the Bridge; also called at the end of the test
}

// Start returns an application that is served over HTTP.
func Start(t *testing.T, st store.Store, opts *bridge.Options) *App {
	t.Helper()
	a := Build(t, st, opts)
	a.Server.Start()
	return a
}

// Build returns an application whose Server is not started.
func Build(t *testing.T, st store.Store, opts *bridge.Options) *App {
	t.Helper()
	b, err := bridge.New(st, opts)
	require.NoError(t, err)
	a := &App{Bridge: b, Mux: http.NewServeMux()}
	a.route()
	a.Server = httptest.NewUnstartedServer(b.Handler(a.Mux))
	var once sync.Once
	a.Stop = func() { once.Do(func() { a.shutdown(t) }) }
	t.Cleanup(a.Stop)
	return a
}

func (a *App) shutdown(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), await.Limit)
	defer cancel()
	a.Server.Client().CloseIdleConnections() // Shutdown waits 5 s for an unused connection
	require.NoError(t, a.Server.Config.Shutdown(ctx))
	require.NoError(t, a.Bridge.Shutdown(ctx))
	a.Server.Close()
}

// Count is the number that Increment changes.
var Count = bridge.NewKey[int]("count")

// Increment is the change that pages and sockets share.
func Increment(_ context.Context, s *bridge.Session) (string, error) {
	n, _ := Count.Get(s)
	Count.Set(s, n+1)
	return strconv.Itoa(n + 1), nil
}

func (a *App) route() {
	a.Mux.HandleFunc("/increment", func(w http.ResponseWriter, r *http.Request) {
		Answer(w, func() (string, error) {
			return bridge.WithSession(r.Context(), a.Bridge.For(r), Increment, nil)
		})
	})
	a.Page("/count", func(_ *http.Request, s *bridge.Session) (string, error) {
		n, _ := Count.Get(s)
		return strconv.Itoa(n), nil
	})
	a.Page("/id", func(r *http.Request, s *bridge.Session) (string, error) {
		if r.URL.RawQuery == "new" {
			Count.Set(s, 0)
		}
		return s.ID(), nil
	})
	a.Page("/client", func(_ *http.Request, s *bridge.Session) (string, error) { return s.ClientID(), nil })
	a.Page("/user", func(_ *http.Request, s *bridge.Session) (string, error) { return s.UserID(), nil })
	a.Page("/login", func(r *http.Request, s *bridge.Session) (string, error) {
		user := r.FormValue("user")
		return user, s.Login(user)
	})
	a.Page("/rotate", func(_ *http.Request, s *bridge.Session) (string, error) { return "", s.Rotate() })
	a.Page("/logout", func(_ *http.Request, s *bridge.Session) (string, error) {
		s.Logout()
		return "bye", nil
	})
	a.Mux.Handle("/socket", a.Bridge.WebSocket(a.talk, nil))
}

// Page adds a page that uses the session of the request.
func (a *App) Page(path string, do func(*http.Request, *bridge.Session) (string, error)) {
	a.Mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
		Answer(w, func() (string, error) {
			s, err := a.Bridge.Session(r)
			if err != nil {
				return "", err
			}
			return do(r, s)
		})
	})
}

// Answer writes the result of do, or its error with the error's status.
func Answer(w http.ResponseWriter, do func() (string, error)) {
	body, err := do()
	if err != nil {
		http.Error(w, err.Error(), bridge.HTTPStatus(err))
		return
	}
	io.WriteString(w, body)
}

// talk answers each message of a socket in a WithSession.
func (a *App) talk(ctx context.Context, c *bridge.Conn) error {
	for {
		kind, message, err := c.Read(ctx)
		if err != nil {
			return err
		}
		reply, err := bridge.WithSession(ctx, c, func(ctx context.Context, s *bridge.Session) (string, error) {
			switch string(message) {
			case "increment":
				return Increment(ctx, s)
			case "count":
				n, _ := Count.Get(s)
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

// NewKey returns a random signing key.
func NewKey() []byte {
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	return key
}
