// Package templapp is the application with the templates of github.com/a-h/templ. A component gets what
// the function of WithSession returns; it needs no session itself.
package templapp

import (
	"net/http"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/example/frameworks/counter"
)

//go:generate go run github.com/a-h/templ/cmd/templ@v0.3.943 generate

// New returns the application's handler.
func New(b *bridge.Bridge) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		v, err := bridge.WithSession(r.Context(), b.For(r), counter.Visit, nil)
		if err != nil {
			b.WriteError(w, r, err)
			return
		}
		_ = page(v).Render(r.Context(), w) // an error means that the client has disconnected
	})
	mux.HandleFunc("POST /login", counter.Login(b))
	mux.HandleFunc("POST /logout", counter.Logout(b))
	mux.Handle("/ws", counter.Messages(b))
	return b.Handler(mux)
}
