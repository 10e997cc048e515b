package bridge_test

import (
	"net/http"
	"testing"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/store"
)

// app is newApp with its Bridge at hand, and room for more pages.
type app struct {
	*bridge.Bridge
	mux *http.ServeMux
}

func makeApp(t testing.TB, st store.Store, opts *bridge.Options) *app {
	t.Helper()
	b := newBridge(t, st, opts)
	return &app{b, newApp(b)}
}

func (a *app) page(path string, fn func(*http.Request) (any, error)) {
	a.mux.HandleFunc(path, page(fn))
}

func (a *app) session(path string, fn func(*bridge.Session) (any, error)) {
	a.mux.HandleFunc(path, sessionPage(a.Bridge, fn))
}

// serve starts the application on the loopback network, serveInMemory in a bubble.
func (a *app) serve(t testing.TB) *site { t.Helper(); return serve(t, a.Handler(a.mux)) }

func (a *app) serveInMemory(t testing.TB) *site {
	t.Helper()
	return serveInMemory(t, a.Handler(a.mux))
}
