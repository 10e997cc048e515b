package testkit

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/store"
)

// App is a Bridge and the pages of NewMux, to which a test may add more.
type App struct {
	*bridge.Bridge
	Mux *http.ServeMux
}

// NewApp returns an application whose Bridge is shut down when the test ends.
func NewApp(t testing.TB, st store.Store, opts *bridge.Options) *App {
	t.Helper()
	b := NewBridge(t, st, opts)
	return &App{b, NewMux(b)}
}

// Page adds a page; see Page.
func (a *App) Page(path string, fn func(*http.Request) (any, error)) {
	a.Mux.HandleFunc(path, Page(fn))
}

// SessionPage adds a page; see SessionPage.
func (a *App) SessionPage(path string, fn func(*bridge.Session) (any, error)) {
	a.Mux.HandleFunc(path, SessionPage(a.Bridge, fn))
}

// Serve starts the application on the loopback network.
func (a *App) Serve(t testing.TB) *webclient.Site {
	t.Helper()
	return webclient.Serve(t, a.Handler(a.Mux))
}

// ServeInMemory starts the application in a synctest bubble.
func (a *App) ServeInMemory(t testing.TB) *webclient.Site {
	t.Helper()
	return webclient.ServeInMemory(t, a.Handler(a.Mux))
}

// NewBridge returns a Bridge that is shut down when the test ends. The shutdown must succeed.
func NewBridge(t testing.TB, st store.Store, opts *bridge.Options) *bridge.Bridge {
	t.Helper()
	b, err := bridge.New(st, opts)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), await.Limit)
		defer cancel()
		require.NoError(t, b.Shutdown(ctx))
	})
	return b
}
