package compat_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// writeTimeout is how long a write of the examples may take.
const writeTimeout = 10 * time.Second

var counted = bridge.NewKey[int]("counted")

// count is the mutation of the pages and of the connections.
func count(_ context.Context, s *bridge.Session) (int, error) {
	n, _ := counted.Get(s)
	counted.Set(s, n+1)
	return n + 1, nil
}

// answer is what the application has to say to a client's word: inc, id, logout.
func answer(ctx context.Context, link *bridge.Link, word string) (string, error) {
	var n int
	var err error
	switch word {
	case "inc":
		n, err = bridge.WithSession(ctx, link, count, nil)
	case "logout":
		err = link.WithSession(ctx, func(_ context.Context, s *bridge.Session) error { s.Logout(); return nil }, nil)
	default:
		return link.ID(), nil
	}
	return fmt.Sprint(n), err
}

// attachApp is an application with the pages /inc, /id, /login and /logout, whose connections connect makes, at /connect.
func attachApp(b *bridge.Bridge, connect http.Handler) http.Handler {
	mux := http.NewServeMux()
	page := func(path string, do func(r *http.Request) (any, error)) {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			v, err := do(r)
			if err != nil {
				http.Error(w, err.Error(), bridge.HTTPStatus(err))
				return
			}
			fmt.Fprint(w, v)
		})
	}
	own := func(do func(s *bridge.Session) (any, error)) func(r *http.Request) (any, error) {
		return func(r *http.Request) (any, error) {
			s, err := b.Session(r)
			if err != nil {
				return nil, err
			}
			return do(s)
		}
	}
	page("/inc", func(r *http.Request) (any, error) { return bridge.WithSession(r.Context(), b.For(r), count, nil) })
	page("/id", own(func(s *bridge.Session) (any, error) { return s.ID(), nil }))
	page("/login", own(func(s *bridge.Session) (any, error) { return "", s.Login("ada") }))
	page("/logout", own(func(s *bridge.Session) (any, error) { s.Logout(); return "", nil }))
	mux.Handle("/connect", connect)
	return b.Handler(mux)
}

// events reads a stream of server-sent events.
type events struct{ lines *bufio.Reader }

// read returns the next event.
func (e events) read() (name, data string, err error) {
	for {
		line, err := e.lines.ReadString('\n')
		if err != nil {
			return "", "", err
		}
		field, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch field {
		case "event":
			name = value
		case "data":
			data += value
		case "":
			if name != "" || data != "" { // otherwise the end of a comment
				return name, data, nil
			}
		}
	}
}
