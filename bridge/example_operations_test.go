package bridge_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// The audit log names users by a hash, which LogHash returns for a user whose lines are looked for.
func ExampleBridge_LogHash() {
	var audit bytes.Buffer
	b, err := bridge.New(livestore.New(), &bridge.Options{
		Keys:  [][]byte{bytes.Repeat([]byte("k"), 32)}, // from bridge.LoadKeys, in earnest
		Audit: slog.New(slog.NewTextHandler(&audit, nil)),
	})
	if err != nil {
		panic(err)
	}
	defer func() { _ = b.Shutdown(context.Background()) }()
	c, err := b.Create(context.Background(), bridge.NewSession{UserID: "ada"})
	if err != nil {
		panic(err)
	}
	if _, err := b.DestroyByID(context.Background(), c.SessionID); err != nil {
		panic(err)
	}
	for line := range strings.Lines(audit.String()) {
		if _, msg, found := strings.Cut(line, "msg="); found && strings.Contains(line, "user="+b.LogHash("ada")) {
			fmt.Println(msg[:strings.Index(msg, " session=")])
		}
	}
	// Output:
	// "session created"
	// "user logged in"
	// "session ended"
}

// An address that opens too many sockets is told when to come back.
func ExampleRate() {
	b, err := bridge.New(livestore.New(), &bridge.Options{HandshakesPerAddr: bridge.Rate{PerSecond: 0.1, Burst: 2}})
	if err != nil {
		panic(err)
	}
	defer func() { _ = b.Shutdown(context.Background()) }()
	echo := b.WebSocket(func(context.Context, *bridge.Conn) error { return nil }, nil)
	for range 3 {
		r := httptest.NewRequest(http.MethodGet, "http://localhost/", nil) // no handshake: 426, as long as it counts
		w := httptest.NewRecorder()
		echo.ServeHTTP(w, r)
		fmt.Printf("%d %q\n", w.Code, w.Header().Get("Retry-After"))
	}
	// Output:
	// 426 ""
	// 426 ""
	// 429 "10"
}

// A key is replaced while the application runs. A browser that comes back in between keeps its
// session.
func ExampleBridge_SetKeys() {
	oldKey, newKey := bytes.Repeat([]byte("o"), 32), bytes.Repeat([]byte("n"), 32) // from bridge.LoadKeys, in earnest
	b, err := bridge.New(livestore.New(), &bridge.Options{Keys: [][]byte{oldKey}})
	if err != nil {
		panic(err)
	}
	defer func() { _ = b.Shutdown(context.Background()) }()
	visits := bridge.NewKey[int]("visits")
	h := b.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s, err := b.Session(r)
		if err != nil {
			b.WriteError(w, r, err)
			return
		}
		n, _ := visits.Get(s)
		visits.Set(s, n+1)
		fmt.Fprint(w, n+1)
	}))
	cookies := map[string]*http.Cookie{}
	visit := func() {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		for _, c := range cookies {
			r.AddCookie(c)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		for _, c := range w.Result().Cookies() {
			cookies[c.Name] = c
		}
		fmt.Println("visit", w.Body)
	}

	visit()
	for _, keys := range [][][]byte{{oldKey, newKey}, {newKey, oldKey}} {
		if err := b.SetKeys(keys); err != nil {
			panic(err)
		}
	}
	visit() // the cookie is signed anew
	if err := b.SetKeys([][]byte{newKey}); err != nil {
		panic(err)
	}
	visit()
	// Output:
	// visit 1
	// visit 2
	// visit 3
}

// BeforeCommit sees every change before it is stored, wherever it comes from.
func ExampleOptions_beforeCommit() {
	errGuest := errors.New("a guest can't be an administrator")
	b, err := bridge.New(livestore.New(), &bridge.Options{
		BeforeCommit: func(_ context.Context, s *bridge.Session) error {
			if role, _ := s.Get("role"); role == "admin" && s.UserID() == "" {
				return errGuest
			}
			return nil
		},
	})
	if err != nil {
		panic(err)
	}
	defer func() { _ = b.Shutdown(context.Background()) }()
	h := b.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := b.WithSession(r, func(_ context.Context, s *bridge.Session) error {
			s.Set("role", r.FormValue("role"))
			return nil
		}, nil)
		fmt.Println(errors.Is(err, bridge.ErrRefused), errors.Is(err, errGuest), bridge.HTTPStatus(err))
	}))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/?role=reader", nil))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/?role=admin", nil))
	// Output:
	// false false 200
	// true true 422
}
