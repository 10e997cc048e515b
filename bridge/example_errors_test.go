package bridge_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"

	"github.com/coder/websocket"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// The answers of the Bridge in the application's own look: a page, or for scripts the default.
func ExampleOptions_errorHandler() {
	b, err := bridge.New(livestore.New(), &bridge.Options{
		Logger: slog.New(slog.DiscardHandler),
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			switch {
			case r.Header.Get("Accept") != "text/html":
				bridge.WriteError(w, r, err)
			case errors.Is(err, bridge.ErrSessionGone):
				http.Redirect(w, r, "/login", http.StatusSeeOther)
			default:
				w.Header().Set("Content-Type", "text/html; charset=utf-8")
				w.WriteHeader(bridge.HTTPStatus(err))
				fmt.Fprint(w, "<h1>That did not work</h1>")
			}
		},
	})
	if err != nil {
		panic(err)
	}
	defer func() { _ = b.Shutdown(context.Background()) }()
	save := b.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s, err := b.Session(r)
		if err != nil {
			b.WriteError(w, r, err)
			return
		}
		s.Set("note", make([]byte, 100_000)) // more than MaxValueBytes
		fmt.Fprint(w, "saved")
	}))
	for _, accept := range []string{"text/html", "application/json"} {
		r := httptest.NewRequest(http.MethodPost, "/save", http.NoBody)
		r.Header.Set("Accept", accept)
		w := httptest.NewRecorder()
		save.ServeHTTP(w, r)
		fmt.Println(w.Code, w.Body)
	}
	// Output:
	// 413 <h1>That did not work</h1>
	// 413 {"title":"Request Entity Too Large","status":413,"detail":"The session could not be stored: it would become too large."}
}

// The last argument of WithSession decides what happens without a session.
func ExampleMissing() {
	ctx := context.Background()
	b, err := bridge.New(livestore.New(), nil)
	if err != nil {
		panic(err)
	}
	defer func() { _ = b.Shutdown(ctx) }()
	logIn := errors.New("log in first")
	whoIs := func(_ context.Context, s *bridge.Session) (string, error) { return s.UserID(), nil }
	dial, end := exampleSockets(b, b.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
		_, err := bridge.WithSession(ctx, c, whoIs, nil)
		fmt.Println(errors.Is(err, bridge.ErrSessionMissing), bridge.HTTPStatus(err), bridge.CloseCode(err))
		_, err = bridge.WithSession(ctx, c, whoIs, bridge.Missing[string](logIn))
		fmt.Println(err)
		user, err := bridge.WithSession(ctx, c, whoIs, bridge.Fallback("a guest"))
		fmt.Println(user, err)
		return c.WithSession(ctx, func(context.Context, *bridge.Session) error { return nil }, bridge.MissingErr(nil))
	}, nil))
	defer end()
	ws := dial()
	_, _, err = ws.Read(ctx)
	fmt.Println(websocket.CloseStatus(err))
	// Output:
	// true 401 4502
	// log in first
	// a guest <nil>
	// StatusNormalClosure
}

// Keys in an environment variable. An empty one is an error: with random keys no cookie would survive
// a restart.
func ExampleParseKeys() {
	keys, err := bridge.ParseKeys(`
		bmV3OiAzMiByYW5kb20gYnl0ZXMsIGluIGJhc2U2NC4uLi4=   # signs
		b2xkOiB2ZXJpZmllcyB1bnRpbCBpdHMgY29va2llcyBlbmQ=   # verifies
	`)
	fmt.Println(len(keys), err)
	_, err = bridge.ParseKeys("")
	fmt.Println(err != nil)
	// Output:
	// 2 <nil>
	// true
}
