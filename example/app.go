package main

import (
	"context"
	"embed"
	"encoding/json"
	"io/fs"
	"log/slog"
	"net/http"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/jsclient"
)

//go:embed site
var site embed.FS

var count = bridge.NewKey[int]("count")

// state is what the page shows.
type state struct {
	User  string `json:"user"` // "" without a user
	Count int    `json:"count"`
}

func stateOf(s *bridge.Session) state {
	n, _ := count.Get(s)
	return state{User: s.UserID(), Count: n}
}

// increment serves HTTP and sockets alike.
func increment(_ context.Context, s *bridge.Session) (state, error) {
	n, _ := count.Get(s)
	count.Set(s, n+1)
	return stateOf(s), nil
}

// begin makes a new session non-empty, because an empty one is not stored, and changes no other.
func begin(_ context.Context, s *bridge.Session) (state, error) {
	if _, ok := count.Get(s); !ok {
		count.Set(s, 0)
	}
	return stateOf(s), nil
}

// newApp returns the handler of the application. From the outside in: security headers, protection
// against cross-site requests, sessions, routes.
func newApp(b *bridge.Bridge) http.Handler {
	files, err := fs.Sub(site, "site")
	if err != nil {
		panic(err) // the folder is embedded
	}
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServerFS(files))
	mux.Handle("GET /bridge.js", jsclient.Handler())
	mux.Handle("GET /ws", jsclient.Requests(b, answer, nil))
	mux.HandleFunc("POST /api/session", change(b, begin))
	mux.HandleFunc("POST /api/increment", change(b, increment))
	mux.HandleFunc("POST /api/login", func(w http.ResponseWriter, r *http.Request) {
		change(b, func(_ context.Context, s *bridge.Session) (state, error) {
			err := s.Login(r.PostFormValue("user")) // a real application checks a password first
			return stateOf(s), err
		})(w, r)
	})
	mux.HandleFunc("POST /api/logout", change(b, func(_ context.Context, s *bridge.Session) (state, error) {
		s.Logout()
		return state{}, nil
	}))
	b.OnSessionSet(func(e bridge.SessionSet) { push(b, e) })
	protected := http.NewCrossOriginProtection().Handler(b.Handler(mux))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "+
			"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		r.Body = http.MaxBytesReader(w, r.Body, 16<<10)
		protected.ServeHTTP(w, r)
	})
}

// change returns a handler that changes the request's session, which is created if there is none, and
// answers with the result. The change is stored before the answer is sent.
func change(b *bridge.Bridge, do func(context.Context, *bridge.Session) (state, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		now, err := bridge.WithSession(r.Context(), b.For(r), do, nil)
		if err != nil {
			b.WriteError(w, r, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_ = json.NewEncoder(w).Encode(now) // an error means that the client has disconnected
	}
}

// answer answers the requests of a socket.
func answer(ctx context.Context, _ *bridge.Conn, r jsclient.Request, s *bridge.Session) (any, error) {
	var do string
	if err := r.Decode(&do); err != nil {
		return nil, &jsclient.Error{Status: http.StatusBadRequest, Text: "not understood"}
	}
	switch do {
	case "get":
		return stateOf(s), nil
	case "increment":
		return increment(ctx, s)
	case "logout":
		s.Logout()
		return state{}, nil
	}
	return nil, &jsclient.Error{Status: http.StatusBadRequest, Text: "use get, increment or logout"}
}

// push sends the session to its sockets after each change, however it was made.
func push(b *bridge.Bridge, e bridge.SessionSet) {
	s, err := b.GetByID(context.Background(), e.SessionID)
	if err != nil {
		return // it has ended: its sockets are being closed
	}
	data, err := json.Marshal(stateOf(s))
	if err == nil {
		_, err = b.Notify(context.Background(), bridge.To{SessionID: e.SessionID}, data)
	}
	if err != nil {
		slog.Warn("sockets not notified", "error", err)
	}
}
