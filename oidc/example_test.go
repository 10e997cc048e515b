package oidc_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"os"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/oidc"
)

// An application whose users log in at a provider, and are logged out here when they log out there.
func ExampleNew() {
	st := livestore.New() // or a FileStore, or a RedisStore for several nodes
	b, err := bridge.New(st, nil)
	if err != nil {
		log.Fatal(err)
	}
	p, err := oidc.New(context.Background(), b, &oidc.Options{
		Issuer:         "https://id.example.com",
		ClientID:       "shop",
		ClientSecret:   os.Getenv("CLIENT_SECRET"),
		RedirectURL:    "https://shop.example.com/oidc/callback",
		Scopes:         []string{"openid", "email"},
		Store:          st,
		ProviderLogout: true,
		PostLogoutURL:  "https://shop.example.com/",
		OnLogin: func(_ context.Context, s *bridge.Session, c *oidc.Claims) error {
			var claims struct{ Email string }
			err := c.Decode(&claims)
			s.Set("email", claims.Email)
			return err
		},
	})
	if err != nil {
		log.Fatal(err) // the provider can't be reached: try again
	}
	defer p.Close()

	mux := http.NewServeMux()
	mux.Handle("/login", p.Login()) // <a href="/login?return=/cart">
	mux.Handle("/oidc/callback", p.Callback())
	mux.Handle("/logout", p.Logout())                      // <form method="post" action="/logout">
	mux.Handle("/oidc/backchannel", p.BackChannelLogout()) // backchannel_logout_uri at the provider
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s, err := b.Session(r)
		if err != nil {
			b.WriteError(w, r, err)
			return
		}
		if s.UserID() == "" {
			http.Redirect(w, r, "/login", http.StatusSeeOther)
			return
		}
		fmt.Fprintln(w, "hello", s.UserID())
	})
	log.Fatal(http.ListenAndServe("localhost:8080", b.Handler(mux)))
}
