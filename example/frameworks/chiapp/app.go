// Package chiapp is the application with github.com/go-chi/chi. Its middlewares are those of net/http,
// so b.Handler is one, for all routes or for a group.
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
	r.Get("/", func(w http.ResponseWriter, r *http.Request) {
		view, err := bridge.WithSession(r.Context(), b.For(r), counter.Visit, nil)
		if err != nil {
			b.WriteError(w, r, err)
			return
		}
		_ = counter.Page.Execute(w, view) // an error means that the client has disconnected
	})
	r.Post("/login", func(w http.ResponseWriter, r *http.Request) {
		s, err := b.Session(r)
		if err == nil {
			err = s.Login(r.FormValue("user")) // once the password has been checked
		}
		if err != nil {
			b.WriteError(w, r, err)
			return
		}
		http.Redirect(w, r, "/", http.StatusSeeOther)
	})
	r.Post("/logout", func(w http.ResponseWriter, r *http.Request) {
		s, err := b.Session(r)
		if err != nil {
			b.WriteError(w, r, err)
			return
		}
		s.Logout()
		http.Redirect(w, r, "/", http.StatusSeeOther)
	})
	r.Handle("/ws", counter.Messages(b))
	return r
}
