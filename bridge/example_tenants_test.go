package bridge_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// Several tenants in one process and one store: a Bridge for each, over an App of the store, chosen
// by the request's host. They share no session, no user and no cookie's worth, although they may
// share Keys.
func ExampleNew_tenants() {
	st := livestore.New() // or filestore.Open: all in one file
	defer func() { _ = st.Close() }()
	tenants := map[string]*bridge.Bridge{}
	handlers := map[string]http.Handler{}
	for _, host := range []string{"shop.example", "blog.example"} {
		b, err := bridge.New(st.App(host), nil)
		if err != nil {
			panic(err)
		}
		defer func() { _ = b.Shutdown(context.Background()) }()
		mux := http.NewServeMux()
		mux.HandleFunc("/login", func(w http.ResponseWriter, r *http.Request) {
			s, err := b.Session(r)
			if err == nil {
				err = s.Login("ada")
			}
			if err != nil {
				b.WriteError(w, r, err)
			}
		})
		tenants[host], handlers[host] = b, b.Handler(mux)
	}
	app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tenant, ok := handlers[r.Host]
		if !ok {
			http.Error(w, "no such tenant", http.StatusMisdirectedRequest)
			return
		}
		tenant.ServeHTTP(w, r)
	})

	for _, url := range []string{"http://shop.example/login", "http://shop.example/login", "http://blog.example/login", "http://evil.example/login"} {
		w := httptest.NewRecorder()
		app.ServeHTTP(w, httptest.NewRequest(http.MethodGet, url, nil))
		fmt.Println(url, w.Code)
	}
	n, err := tenants["shop.example"].DestroyAll(context.Background())
	fmt.Println("ended in the shop:", n, err)
	n, err = tenants["blog.example"].DestroyUser(context.Background(), "ada")
	fmt.Println("ended in the blog:", n, err)
	// Output:
	// http://shop.example/login 200
	// http://shop.example/login 200
	// http://blog.example/login 200
	// http://evil.example/login 421
	// ended in the shop: 2 <nil>
	// ended in the blog: 1 <nil>
}
