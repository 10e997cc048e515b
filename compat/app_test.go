package compat_test

import (
	"net/http"
	"testing"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// action is a handler of the path /do that has its session at hand.
type action func(w http.ResponseWriter, r *http.Request, s *bridge.Session)

// do turns an action into a handler.
func do(b *bridge.Bridge, act action) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s, err := b.Session(r)
		if err != nil {
			http.Error(w, err.Error(), bridge.HTTPStatus(err))
			return
		}
		act(w, r, s)
	}
}

// app serves the usual pages and /do, and returns a browser.
func app(t *testing.T, st *failingStore, act action) *browser {
	t.Helper()
	return appWithin(t, st, act, func(h http.Handler) http.Handler { return h }, func(h http.Handler) http.Handler { return h })
}

// appWithin is app with other middlewares outside and inside of the Bridge's.
func appWithin(t *testing.T, st *failingStore, act action, outside, inside func(http.Handler) http.Handler) *browser {
	t.Helper()
	b := newBridge(t, st, nil)
	mux := pages(b)
	mux.Handle("/do", inside(do(b, act)))
	return newBrowser(t, serve(t, outside(b.Handler(mux))))
}
