package bridge_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// A session of a program that has no HTTP requests, an RPC server for example: its client sends the
// token with each call.
func ExampleBridge_Create() {
	ctx := context.Background()
	b, err := bridge.New(livestore.New(), nil)
	if err != nil {
		panic(err)
	}
	defer func() { _ = b.Shutdown(ctx) }()

	c, err := b.Create(ctx, bridge.NewSession{UserID: "ada", Data: map[string]any{"calls": 0}})
	if err != nil {
		panic(err)
	}
	token := c.Token // which the client keeps

	call := func() error {
		return b.WithCredentials(ctx, bridge.Credentials{Token: token}, func(_ context.Context, s *bridge.Session) error {
			calls := bridge.NewKey[int]("calls")
			n, _ := calls.Get(s)
			calls.Set(s, n+1)
			fmt.Println(s.UserID(), n+1)
			return nil
		})
	}
	fmt.Println(call(), call())
	_, err = b.DestroyUser(ctx, "ada")
	fmt.Println(err, errors.Is(call(), bridge.ErrSessionMissing))
	// Output:
	// ada 1
	// ada 2
	// <nil> <nil>
	// <nil> true
}

// The guest of an RPC server logs in: from then on only the new token opens the session.
func ExampleBridge_LoginCredentials() {
	ctx := context.Background()
	b, err := bridge.New(livestore.New(), nil)
	if err != nil {
		panic(err)
	}
	defer func() { _ = b.Shutdown(ctx) }()

	guest, err := b.Create(ctx, bridge.NewSession{Data: map[string]any{"cart": 3}})
	if err != nil {
		panic(err)
	}
	ada, err := b.LoginCredentials(ctx, guest, "ada") // the password has been checked
	if err != nil {
		panic(err)
	}
	s, err := b.Open(ctx, ada)
	cart, _ := s.Get("cart")
	fmt.Println(s.UserID(), cart, err)
	_, err = b.Open(ctx, guest)
	fmt.Println(errors.Is(err, bridge.ErrTokenRotated))
	// Output:
	// ada 3 <nil>
	// true
}

// The cookies of a login that another framework answers.
func ExampleBridge_CookiesFor() {
	ctx := context.Background()
	b, err := bridge.New(livestore.New(), nil)
	if err != nil {
		panic(err)
	}
	defer func() { _ = b.Shutdown(ctx) }()

	c, err := b.Create(ctx, bridge.NewSession{UserID: "ada"})
	if err != nil {
		panic(err)
	}
	answer := http.Header{"Cache-Control": {"no-store"}}
	for _, cookie := range b.CookiesFor(c) {
		answer.Add("Set-Cookie", cookie.String())
		fmt.Println(cookie.Name, cookie.Secure, cookie.HttpOnly)
	}
	// Output:
	// __Host-sid true true
	// __Host-sid.cid true true
}
