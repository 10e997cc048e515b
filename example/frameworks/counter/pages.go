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
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		view, err := bridge.WithSession(r.Context(), b.For(r), Visit, nil)
		if err != nil {
			b.WriteError(w, r, err)
			return
		}
		_ = Page.Execute(w, view) // an error means that the client has disconnected
	})
	AddLogin(mux, b)
	return mux
}

// AddLogin adds POST /login and POST /logout.
func AddLogin(mux *http.ServeMux, b *bridge.Bridge) {
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
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
	mux.HandleFunc("POST /logout", func(w http.ResponseWriter, r *http.Request) {
		s, err := b.Session(r)
		if err != nil {
			b.WriteError(w, r, err)
			return
		}
		s.Logout()
		http.Redirect(w, r, "/", http.StatusSeeOther)
	})
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
