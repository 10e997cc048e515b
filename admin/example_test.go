package admin_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/sessionbridge/sessionbridge/admin"
	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

func ExampleHandler() {
	b, err := bridge.New(livestore.New(), &bridge.Options{Keys: [][]byte{[]byte(strings.Repeat("k", 32))}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = b.Shutdown(context.Background()) }()
	api, err := admin.Handler(b, &admin.Options{
		Keys: []admin.Key{{Name: "shop", Secret: "a-secret-of-crypto/rand.Text", Scope: admin.ScopeWrite}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	mux := http.NewServeMux()
	mux.Handle("/admin/", http.StripPrefix("/admin", api))

	call := func(method, path, body string) {
		r := httptest.NewRequest(method, "/admin/v1/main/"+path, strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer a-secret-of-crypto/rand.Text")
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		fmt.Print(w.Code, " ", w.Body)
	}
	c, err := b.Create(context.Background(), bridge.NewSession{UserID: "ada"})
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := b.MergeByID(context.Background(), c.SessionID, map[string]any{"lang": "en"}); err != nil {
		fmt.Println(err)
		return
	}
	call("GET", "sessions/"+c.SessionID+"/data", "")
	call("PATCH", "sessions/"+c.SessionID+"/data", `{"lang":1,"lang":2}`)
	call("POST", "sessions/destroy-user", `{"user":"ada"}`)
	// Output:
	// 200 {"lang":"en"}
	// 400 {"title":"Bad Request","status":400,"detail":"lang: it occurs twice.","field":"lang"}
	// 200 {"ended":1}
}

func ExampleHandler_withoutKeys() {
	b, err := bridge.New(livestore.New(), &bridge.Options{Keys: [][]byte{[]byte(strings.Repeat("k", 32))}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = b.Shutdown(context.Background()) }()
	_, err = admin.Handler(b, &admin.Options{Addr: "0.0.0.0:7070"})
	fmt.Println(err)
	// Output:
	// admin: the API at 0.0.0.0:7070 would be open to everyone who reaches it: set Options.Keys, or serve it at a loopback address such as 127.0.0.1:7070
}

func ExampleListenAndServe() {
	b, err := bridge.New(livestore.New(), &bridge.Options{Keys: [][]byte{[]byte(strings.Repeat("k", 32))}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = b.Shutdown(context.Background()) }()
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // on SIGTERM, for example
	fmt.Println(admin.ListenAndServe(ctx, b, &admin.Options{Addr: "127.0.0.1:0"}))
	// Output:
	// <nil>
}

func ExampleForwardAuth_SetHeaders() {
	b, err := bridge.New(livestore.New(), &bridge.Options{Keys: [][]byte{[]byte(strings.Repeat("k", 32))}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = b.Shutdown(context.Background()) }()
	cred, err := b.Create(context.Background(), bridge.NewSession{UserID: "ada Ω", Data: map[string]any{"name": "Ada"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	s, err := b.GetByID(context.Background(), cred.SessionID)
	if err != nil {
		fmt.Println(err)
		return
	}
	f := admin.ForwardAuth{Values: map[string]string{"X-Session-Name": "name"}}
	h := http.Header{} // of the request to the backend, without the client's own such headers
	f.SetHeaders(h, s)
	fmt.Println(h.Get("X-Session-Id") == s.ID(), h.Get("X-Session-User"), h.Get("X-Session-Name"))
	// Output:
	// true ada%20%CE%A9 Ada
}

func ExampleCheckKeyless() {
	for _, addr := range []string{"127.0.0.1:7070", "[::1]:7070", "0.0.0.0:7070"} {
		fmt.Println(addr, admin.CheckKeyless(addr) == nil)
	}
	// Output:
	// 127.0.0.1:7070 true
	// [::1]:7070 true
	// 0.0.0.0:7070 false
}
