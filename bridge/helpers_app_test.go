package bridge_test

import (
	"context"
	"fmt"
	"net/http"

	"github.com/sessionbridge/sessionbridge/bridge"
)

var count = bridge.NewKey[int]("n")

// increment is the mutation of most tests: one function for both transports.
func increment(_ context.Context, s *bridge.Session) (int, error) {
	n, _ := count.Get(s)
	count.Set(s, n+1)
	return n + 1, nil
}

// page answers with what fn returns, an error with its status.
func page(fn func(r *http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v, err := fn(r)
		if err != nil {
			http.Error(w, err.Error(), bridge.HTTPStatus(err))
			return
		}
		fmt.Fprint(w, v)
	}
}

// sessionPage is a page about the request's own session.
func sessionPage(b *bridge.Bridge, fn func(s *bridge.Session) (any, error)) http.HandlerFunc {
	return page(func(r *http.Request) (any, error) {
		s, err := b.Session(r)
		if err != nil {
			return nil, err
		}
		return fn(s)
	})
}

// newApp is the application of most tests. Its pages: /plain doesn't ask for the session, /inc increments, /get shows the count, /id
// the session's ID, /login logs in ?user, /rotate and /logout. Its socket /ws knows the same words: inc, get, id, logout; an error is answered as "error: …".
func newApp(b *bridge.Bridge) *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("/plain", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "plain") })
	mux.HandleFunc("/inc", page(func(r *http.Request) (any, error) {
		return bridge.WithSession(r.Context(), b.For(r), increment, nil)
	}))
	mux.HandleFunc("/get", sessionPage(b, func(s *bridge.Session) (any, error) {
		n, _ := count.Get(s)
		return n, nil
	}))
	mux.HandleFunc("/id", sessionPage(b, func(s *bridge.Session) (any, error) { return s.ID(), nil }))
	mux.HandleFunc("/login", func(w http.ResponseWriter, r *http.Request) {
		sessionPage(b, func(s *bridge.Session) (any, error) { return "in", s.Login(r.URL.Query().Get("user")) })(w, r)
	})
	mux.HandleFunc("/rotate", sessionPage(b, func(s *bridge.Session) (any, error) { return "rotated", s.Rotate() }))
	mux.HandleFunc("/logout", sessionPage(b, func(s *bridge.Session) (any, error) { s.Logout(); return "out", nil }))
	// Without a heartbeat: clients of tests read no pings while they wait for something else, and on a busy machine that may take longer than a pong may.
	mux.Handle("/ws", b.WebSocket(converse, &bridge.ConnOptions{Heartbeat: bridge.Off}))
	return mux
}

// converse is the handler of newApp's socket.
func converse(ctx context.Context, c *bridge.Conn) error {
	for {
		_, word, err := c.Read(ctx)
		if err != nil {
			return err
		}
		answer, err := obey(ctx, c, string(word))
		if err != nil {
			answer = "error: " + err.Error()
		}
		if err := c.WriteJSON(ctx, answer); err != nil {
			return err
		}
	}
}

func obey(ctx context.Context, c *bridge.Conn, word string) (any, error) {
	if word == "id" {
		return c.SessionID(), nil
	}
	return bridge.WithSession(ctx, c, func(ctx context.Context, s *bridge.Session) (int, error) {
		switch word {
		case "inc":
			return increment(ctx, s)
		case "logout":
			s.Logout()
		}
		n, _ := count.Get(s)
		return n, nil
	}, nil)
}
