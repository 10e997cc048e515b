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
	"time"

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

// Sessions that have expired are removed in the background, or when the application says so.
func ExampleBridge_Cleanup() {
	ctx := context.Background()
	b, err := bridge.New(livestore.New(), &bridge.Options{AutoCleanup: bridge.Off})
	if err != nil {
		panic(err)
	}
	b.OnCleanup(func(e bridge.Cleanup) {
		if e.Cleared > 0 {
			fmt.Println("removed", e.Cleared)
		}
	})
	if err := b.SetTimeouts(bridge.MinTimeout, time.Hour); err != nil { // for sessions that begin from now on
		panic(err)
	}
	if _, err := b.Create(ctx, bridge.NewSession{UserID: "ada"}); err != nil {
		panic(err)
	}
	for n := 0; n == 0; { // it expires within milliseconds
		if n, err = b.Cleanup(ctx); err != nil {
			panic(err)
		}
	}
	_ = b.Shutdown(ctx) // waits for the callbacks
	// Output: removed 1
}

// A credential that opens nothing is an event: a forged token, for example.
func ExampleBridge_OnCredentialRejected() {
	ctx := context.Background()
	b, err := bridge.New(livestore.New(), nil)
	if err != nil {
		panic(err)
	}
	b.OnCredentialRejected(func(e bridge.CredentialRejected) { fmt.Println(e.Credential, e.Reason) })
	_, err = b.Open(ctx, bridge.Credentials{Token: "forged"})
	fmt.Println(errors.Is(err, bridge.ErrCredentials))
	_ = b.Shutdown(ctx) // waits for the callbacks
	// Unordered output:
	// true
	// token signature
}

// The processes on the store, this one included, each with its counters.
func ExampleBridge_Nodes() {
	ctx := context.Background()
	b, err := bridge.New(livestore.New(), nil)
	if err != nil {
		panic(err)
	}
	defer func() { _ = b.Shutdown(ctx) }()
	for node, err := range b.Nodes(ctx) {
		fmt.Printf("%q %d connections, healthy: %t, %v\n", node.Node, node.Stats.Conns, node.Stats.Healthy, err)
	}
	// Output: "" 0 connections, healthy: true, <nil>
}

// A proxy asks whether a page may open a connection that another program completes.
func ExampleBridge_CheckOrigin() {
	b, err := bridge.New(livestore.New(), &bridge.Options{
		OriginPatterns: []string{"https://*.example.com"},
		Logger:         slog.New(slog.DiscardHandler),
	})
	if err != nil {
		panic(err)
	}
	defer func() { _ = b.Shutdown(context.Background()) }()
	for _, origin := range []string{"https://app.example.com", "https://example.net"} {
		r := httptest.NewRequest(http.MethodGet, "https://live.example.com/ws", nil)
		r.Header.Set("Origin", origin)
		err := b.CheckOrigin(r)
		fmt.Println(origin, errors.Is(err, bridge.ErrOrigin))
	}
	// Output:
	// https://app.example.com false
	// https://example.net true
}

// Code of the application that has only the context of a request.
func ExampleSessionIDFrom() {
	b, err := bridge.New(livestore.New(), nil)
	if err != nil {
		panic(err)
	}
	defer func() { _ = b.Shutdown(context.Background()) }()
	var sessionID, clientID string
	audit := func(ctx context.Context) {
		sessionID, _ = bridge.SessionIDFrom(ctx)
		clientID, _ = bridge.ClientIDFrom(ctx)
	}
	b.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		s, err := b.Session(r)
		if err != nil {
			panic(err)
		}
		s.Set("k", "v")
		audit(r.Context())
		fmt.Println(sessionID == s.ID(), clientID == s.ClientID())
	})).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	// Output: true true
}

// Code that was written for gorilla/sessions, on the same session as the rest of the application.
func ExampleBridge_Gorilla() {
	b, err := bridge.New(livestore.New(), &bridge.Options{GorillaName: "session-name"})
	if err != nil {
		panic(err)
	}
	defer func() { _ = b.Shutdown(context.Background()) }()
	old := b.Gorilla()
	b.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		session, err := old.Get(r, "session-name")
		if err != nil {
			b.WriteError(w, r, err)
			return
		}
		session.Values["visits"] = 1
		if err := session.Save(r, w); err != nil {
			b.WriteError(w, r, err)
			return
		}
		s, err := b.Session(r)
		if err != nil {
			b.WriteError(w, r, err)
			return
		}
		fmt.Println(s.Get("visits"))
	})).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	// Output: 1 true
}
