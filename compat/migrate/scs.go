package migrate

import (
	"fmt"
	"net/http"

	"github.com/alexedwards/scs/v2"
)

// withSCS is written for scs.
func withSCS(manager *scs.SessionManager) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		visits := manager.GetInt(r.Context(), "visits") + 1
		manager.Put(r.Context(), "visits", visits)
		fmt.Fprintf(w, "%q %d", manager.GetString(r.Context(), "user"), visits)
	})
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		if err := manager.RenewToken(r.Context()); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		manager.Put(r.Context(), "user", r.FormValue("user"))
	})
	mux.HandleFunc("POST /logout", func(w http.ResponseWriter, r *http.Request) {
		if err := manager.Destroy(r.Context()); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	return manager.LoadAndSave(mux)
}
