package migrate

import (
	"fmt"
	"net/http"

	"github.com/gorilla/sessions"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// withGorilla is written for gorilla/sessions. Its store may be b.Gorilla().
func withGorilla(st sessions.Store) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		session, _ := st.Get(r, "app")
		visits, _ := session.Values["visits"].(int)
		session.Values["visits"] = visits + 1
		if err := session.Save(r, w); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		user, _ := session.Values["user"].(string)
		fmt.Fprintf(w, "%q %d", user, visits+1)
	})
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		session, _ := st.Get(r, "app")
		session.Values["user"] = r.FormValue("user")
		if err := session.Save(r, w); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	mux.HandleFunc("POST /logout", func(w http.ResponseWriter, r *http.Request) {
		session, _ := st.Get(r, "app")
		session.Options.MaxAge = -1
		if err := session.Save(r, w); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	return mux
}

// withBridge is the application after the move, from gorilla/sessions and from scs.
func withBridge(b *bridge.Bridge) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		page, err := bridge.WithSession(r.Context(), b.For(r), visit, nil)
		if err != nil {
			b.WriteError(w, r, err)
			return
		}
		fmt.Fprint(w, page)
	})
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		s, err := b.Session(r)
		if err == nil {
			err = s.Login(r.FormValue("user")) // replaces the secret in the cookie
		}
		if err != nil {
			b.WriteError(w, r, err)
		}
	})
	mux.HandleFunc("POST /logout", func(w http.ResponseWriter, r *http.Request) {
		s, err := b.Session(r)
		if err != nil {
			b.WriteError(w, r, err)
			return
		}
		s.Logout() // and every socket of the session is closed
	})
	return b.Handler(mux)
}
