package testsite

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// Release lets one request with "wait", or of /hold, go on.
func (s *Site) Release() { s.release <- struct{}{} }

// Control returns the URL of a server that does what the methods of Site do, at the path of the
// method's name: stop, resume, cut, heal, release. publish?text= sends a message of Kept,
// keep?user=&text= one of the Bridge, and conns counts connections. It isn't behind the proxy.
func (s *Site) Control(t testing.TB) string {
	t.Helper()
	mux := http.NewServeMux()
	for name, do := range map[string]func(){
		"stop": func() { s.Stop(t) }, "resume": func() { s.Resume(t) },
		"cut": s.Cut, "heal": func() { s.Heal(t) }, "release": s.Release,
	} {
		mux.HandleFunc("POST /"+name, func(http.ResponseWriter, *http.Request) { do() })
	}
	mux.HandleFunc("POST /publish", func(_ http.ResponseWriter, r *http.Request) { s.Kept.Publish(r.FormValue("text")) })
	mux.HandleFunc("POST /keep", func(w http.ResponseWriter, r *http.Request) {
		err := s.Bridge().NotifyKept(r.Context(), bridge.To{UserID: r.FormValue("user")}, time.Minute, []byte(r.FormValue("text")))
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	mux.HandleFunc("POST /conns", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(strconv.AppendInt(nil, int64(s.Bridge().Stats().Conns), 10))
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return srv.URL
}
