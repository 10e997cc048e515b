package bridge_test

import (
	"encoding/gob"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gorilla/sessions"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/store"
)

// legacy is a visitor of an application whose handlers are written against gorilla/sessions, each
// given for one request.
type legacy struct {
	t testing.TB
	*testkit.App
	sessions.Store
	pocket webclient.Pocket
	h      http.Handler
	do     func(w http.ResponseWriter, r *http.Request)
}

func newLegacy(t testing.TB, st store.Store, opts *bridge.Options) *legacy {
	t.Helper()
	registerOldCart()
	l := &legacy{t: t, App: testkit.NewApp(t, st, opts), pocket: webclient.Pocket{}}
	l.Store = l.Gorilla()
	l.Mux.HandleFunc("/legacy", func(w http.ResponseWriter, r *http.Request) { l.do(w, r) })
	l.h = l.Handler(l.Mux)
	return l
}

// visit runs a handler.
func (l *legacy) visit(do func(w http.ResponseWriter, r *http.Request)) *httptest.ResponseRecorder {
	l.t.Helper()
	l.do = do
	return l.pocket.Get(l.t, l.h, "/legacy")
}

// with runs a handler on the session with the name, and saves it.
func (l *legacy) with(name string, do func(gs *sessions.Session)) *httptest.ResponseRecorder {
	l.t.Helper()
	return l.visit(func(w http.ResponseWriter, r *http.Request) {
		gs, err := l.Get(r, name)
		require.NoError(l.t, err)
		do(gs)
		require.NoError(l.t, gs.Save(r, w))
	})
}

// values returns what a session holds in another request.
func (l *legacy) values(name string) (values map[any]any) {
	l.t.Helper()
	l.visit(func(_ http.ResponseWriter, r *http.Request) {
		gs, err := l.Get(r, name)
		require.NoError(l.t, err)
		values = gs.Values
	})
	return values
}

// native runs a handler on the Bridge's own session.
func (l *legacy) native(do func(s *bridge.Session)) *httptest.ResponseRecorder {
	l.t.Helper()
	return l.visit(func(_ http.ResponseWriter, r *http.Request) {
		s, err := l.Session(r)
		require.NoError(l.t, err)
		do(s)
	})
}

// seen returns what the Bridge's own session holds.
func (l *legacy) seen() (all map[string]any) {
	l.t.Helper()
	l.native(func(s *bridge.Session) { all = values(s) })
	return all
}

// oldCart is a type of an application's own, which needs gob.
type oldCart struct {
	Items map[string]int
	Note  string
}

func registerOldCart() {
	gob.RegisterName("github.com/sessionbridge/sessionbridge/bridge_test.oldCart", oldCart{})
}
