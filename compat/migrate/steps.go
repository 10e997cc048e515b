package migrate

import (
	"net/http"

	"github.com/gorilla/sessions"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/importer"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// newBridge returns the Bridge of an application that had its sessions in old.
func newBridge(old sessions.Store) (*bridge.Bridge, error) {
	return bridge.New(livestore.New(), &bridge.Options{
		GorillaName: "app", // the name in your calls of Get
		Import: importer.FromGorilla(old, "app", importer.Options{
			UserID: func(values map[string]any) string {
				user, _ := values["user"].(string) // leave it there: other handlers still read it
				return user
			},
		}),
	})
}

// login logs a user in, as long as some handlers read the user from the values.
func login(b *bridge.Bridge) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		user := r.FormValue("user")
		s, err := b.Session(r)
		if err == nil {
			err = s.Login(user) // replaces the secret in the cookie, and clears the values of another user
		}
		if err != nil {
			b.WriteError(w, r, err)
			return
		}
		s.Set("user", user) // after Login; delete this line with the last handler that reads it
	}
}

// withNewLogin is the application after the first two steps: its other handlers are the old ones.
func withNewLogin(b *bridge.Bridge) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("POST /login", login(b))
	mux.Handle("/", withGorilla(b.Gorilla()))
	return b.Handler(mux)
}
