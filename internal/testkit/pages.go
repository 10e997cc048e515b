package testkit

import (
	"context"
	"fmt"
	"net/http"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// Count is the number that Increment changes.
var Count = bridge.NewKey[int]("n")

// Increment is the change that most tests make, over HTTP and over sockets.
func Increment(_ context.Context, s *bridge.Session) (int, error) {
	n, _ := Count.Get(s)
	Count.Set(s, n+1)
	return n + 1, nil
}

// Page answers with the value of fn, or with its error and the error's status.
func Page(fn func(r *http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v, err := fn(r)
		if err != nil {
			http.Error(w, err.Error(), bridge.HTTPStatus(err))
			return
		}
		fmt.Fprint(w, v)
	}
}

// SessionPage is a Page that uses the session of the request.
func SessionPage(b *bridge.Bridge, fn func(s *bridge.Session) (any, error)) http.HandlerFunc {
	return Page(func(r *http.Request) (any, error) {
		s, err := b.Session(r)
		if err != nil {
			return nil, err
		}
		return fn(s)
	})
}

// NewMux returns the application of most tests. Its pages are /plain, which doesn't use the
// session, /inc, which increments, /get with the count, /id with the session's ID,
// /login?user=NAME, /rotate and /logout. Its socket /ws uses Converse.
func NewMux(b *bridge.Bridge) *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("/plain", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "plain") })
	mux.HandleFunc("/inc", Page(func(r *http.Request) (any, error) {
		return bridge.WithSession(r.Context(), b.For(r), Increment, nil)
	}))
	mux.HandleFunc("/get", SessionPage(b, func(s *bridge.Session) (any, error) {
		n, _ := Count.Get(s)
		return n, nil
	}))
	mux.HandleFunc("/id", SessionPage(b, func(s *bridge.Session) (any, error) { return s.ID(), nil }))
	mux.HandleFunc("/login", func(w http.ResponseWriter, r *http.Request) {
		SessionPage(b, func(s *bridge.Session) (any, error) { return "in", s.Login(r.URL.Query().Get("user")) })(w, r)
	})
	mux.HandleFunc("/rotate", SessionPage(b, func(s *bridge.Session) (any, error) { return "rotated", s.Rotate() }))
	mux.HandleFunc("/logout", SessionPage(b, func(s *bridge.Session) (any, error) { s.Logout(); return "out", nil }))
	// No heartbeat: clients of tests don't read all the time, and so may answer a ping too late.
	mux.Handle("/ws", b.WebSocket(Converse, &bridge.ConnOptions{Heartbeat: bridge.Off}))
	return mux
}

// Converse is a socket's handler that answers the messages inc, get, id and logout in JSON, and an
// error as "error: …".
func Converse(ctx context.Context, c *bridge.Conn) error {
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
			return Increment(ctx, s)
		case "logout":
			s.Logout()
		}
		n, _ := Count.Get(s)
		return n, nil
	}, nil)
}
