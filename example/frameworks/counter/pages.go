package counter

import (
	"context"
	"net/http"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// Pages returns the pages as net/http handlers, for the applications that differ in their connections
// only.
func Pages(b *bridge.Bridge) *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", Index(b))
	mux.HandleFunc("POST /login", Login(b))
	mux.HandleFunc("POST /logout", Logout(b))
	return mux
}

// Index returns the handler of the page, which counts the visit.
func Index(b *bridge.Bridge) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		view, err := bridge.WithSession(r.Context(), b.For(r), Visit, nil)
		if err != nil {
			b.WriteError(w, r, err)
			return
		}
		_ = Page.Execute(w, view) // an error means that the client has disconnected
	}
}

// Login returns the handler that logs a user in.
func Login(b *bridge.Bridge) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s, err := b.Session(r)
		if err == nil {
			err = s.Login(r.FormValue("user")) // once the password has been checked
		}
		if err != nil {
			b.WriteError(w, r, err)
			return
		}
		http.Redirect(w, r, "/", http.StatusSeeOther)
	}
}

// Logout returns the handler that ends the session. Its connections are closed.
func Logout(b *bridge.Bridge) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s, err := b.Session(r)
		if err != nil {
			b.WriteError(w, r, err)
			return
		}
		s.Logout()
		http.Redirect(w, r, "/", http.StatusSeeOther)
	}
}

// Messages is the handler of /ws for applications that use the Bridge's own WebSockets.
func Messages(b *bridge.Bridge) http.Handler {
	return b.Messages(func(ctx context.Context, _ *bridge.Conn, msg bridge.Message, s *bridge.Session) error {
		n, err := Add(ctx, s)
		if err != nil {
			return err
		}
		return msg.ReplyJSON(n)
	}, nil)
}
