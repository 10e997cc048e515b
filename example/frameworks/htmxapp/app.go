// Package htmxapp is the application with html/template, htmx and server-sent events: the page has no
// script of its own. The counter follows in every tab of the session, and a logout in one tab ends the
// streams of the others, which then load the page again.
package htmxapp

import (
	"embed"
	"html/template"
	"net/http"
	"strconv"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/example/frameworks/counter"
	"github.com/sessionbridge/sessionbridge/example/frameworks/sse"
)

var (
	//go:embed page.html
	page string
	view = template.Must(template.New("page").Parse(page))

	//go:embed static
	static embed.FS // htmx 2.0.11 and its extension sse 2.2.4, with their licences
)

// New returns the application's handler.
func New(b *bridge.Bridge) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		v, err := bridge.WithSession(r.Context(), b.For(r), counter.Visit, nil)
		if err != nil {
			b.WriteError(w, r, err)
			return
		}
		w.Header().Set("Cache-Control", "no-store") // so that the way back after a logout doesn't show it
		_ = view.Execute(w, v)                      // an error means that the client has disconnected
	})
	mux.HandleFunc("POST /count", func(w http.ResponseWriter, r *http.Request) {
		n, err := bridge.WithSession(r.Context(), b.For(r), counter.Add, nil)
		if err == nil { // to every tab of the session, this one included
			id, _ := bridge.SessionIDFrom(r.Context())
			_, err = b.Notify(r.Context(), bridge.To{SessionID: id}, strconv.AppendInt(nil, int64(n), 10))
		}
		if err != nil {
			b.WriteError(w, r, err)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	mux.Handle("GET /events", sse.Handler(b))
	mux.HandleFunc("POST /login", counter.Login(b))
	mux.HandleFunc("POST /logout", counter.Logout(b))
	mux.Handle("GET /static/", http.FileServerFS(static))
	return b.Handler(mux)
}
