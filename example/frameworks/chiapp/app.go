// Package chiapp is the application with github.com/go-chi/chi. Its handlers and middlewares are those
// of net/http, so b.Handler is one of them, for all routes or for a group.
package chiapp

import (
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/example/frameworks/counter"
)

// New returns the application's handler.
func New(b *bridge.Bridge) http.Handler {
	r := chi.NewRouter()
	r.Use(b.Handler) // before the routes
	r.Get("/", counter.Index(b))
	r.Post("/login", counter.Login(b))
	r.Post("/logout", counter.Logout(b))
	r.Handle("/ws", counter.Messages(b))
	return r
}
