package bridge_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// Whoever wants to know of sessions subscribes; a callback runs after the change is stored, and
// holds nobody up.
func ExampleBridge_OnSessionSet() {
	b, err := bridge.New(livestore.New(), nil)
	if err != nil {
		panic(err)
	}
	b.OnSessionSet(func(e bridge.SessionSet) { fmt.Println("set", e.Keys, "via", e.Via, "new:", e.IsNew) })
	h := b.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if s, err := b.Session(r); err == nil {
			s.Set("theme", "dark")
		}
	}))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))

	_ = b.Shutdown(context.Background()) // waits for the callbacks
	// Output: set [theme] via http new: true
}

// A stream of server-sent events ends with its session, as a socket does.
func ExampleBridge_Attach() {
	b, err := bridge.New(livestore.New(), nil)
	if err != nil {
		panic(err)
	}
	defer func() { _ = b.Shutdown(context.Background()) }()

	mux := http.NewServeMux()
	mux.HandleFunc("/start", func(_ http.ResponseWriter, r *http.Request) {
		if s, err := b.Session(r); err == nil {
			s.Set("started", true)
		}
	})
	mux.HandleFunc("/logout", func(_ http.ResponseWriter, r *http.Request) {
		if s, err := b.Session(r); err == nil {
			s.Logout()
		}
	})
	mux.HandleFunc("/events", func(w http.ResponseWriter, r *http.Request) {
		over := make(chan string, 1)
		link, err := b.Attach(r, func(_ int, reason string) { over <- reason })
		if err != nil {
			b.WriteError(w, r, err)
			return
		}
		defer link.Detach()
		fmt.Fprint(w, "data: hello\n\n")
		_ = http.NewResponseController(w).Flush()
		select {
		case reason := <-over:
			fmt.Fprintf(w, "event: end\ndata: %s\n\n", reason)
		case <-r.Context().Done(): // the client has gone
		}
	})
	server := httptest.NewServer(b.Handler(mux))
	defer server.Close()

	browser := exampleBrowser(server)
	exampleGet(browser, server.URL+"/start")
	stream, err := browser.Get(server.URL + "/events")
	if err != nil {
		panic(err)
	}
	defer stream.Body.Close()
	exampleGet(browser, server.URL+"/logout")
	events, _ := io.ReadAll(stream.Body)
	fmt.Print(strings.ReplaceAll(string(events), "\n\n", "\n"))
	// Output:
	// data: hello
	// event: end
	// data: logout
}

// An administrator changes a session, and ends it, by its ID.
func ExampleBridge_UpdateByID() {
	b, err := bridge.New(livestore.New(), nil)
	if err != nil {
		panic(err)
	}
	defer func() { _ = b.Shutdown(context.Background()) }()
	var id string
	h := b.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if s, err := b.Session(r); err == nil {
			s.Set("plan", "free")
			id = s.ID()
		}
	}))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))

	ctx := context.Background()
	upgrade := func(_ context.Context, s *bridge.Session) error {
		s.Set("plan", "team")
		return nil
	}
	fmt.Println(b.UpdateByID(ctx, id, upgrade))
	s, err := b.GetByID(ctx, id)
	if err != nil {
		panic(err)
	}
	fmt.Println(s.Get("plan"))
	fmt.Println(b.DestroyByID(ctx, id))
	fmt.Println(errors.Is(b.UpdateByID(ctx, id, upgrade), bridge.ErrSessionMissing))
	// Output:
	// <nil>
	// team true
	// true <nil>
	// true
}
