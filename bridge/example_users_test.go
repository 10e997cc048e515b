package bridge_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// A page with the devices that a user is logged in on, and a button that signs out the others.
func ExampleBridge_DestroyUser() {
	b, err := bridge.New(livestore.New(), &bridge.Options{
		MaxSessionsPerUser: 5, // a sixth login ends the one that has been silent for longest
	})
	if err != nil {
		panic(err)
	}
	defer func() { _ = b.Shutdown(context.Background()) }()

	mux := http.NewServeMux()
	mux.HandleFunc("/login", func(w http.ResponseWriter, r *http.Request) {
		s, err := b.Session(r)
		if err == nil {
			err = s.Login("ada") // who has proved it, by a password for example
		}
		if err != nil {
			b.WriteError(w, r, err)
		}
	})
	mux.HandleFunc("/devices", func(w http.ResponseWriter, r *http.Request) {
		s, err := b.Session(r)
		if err != nil {
			b.WriteError(w, r, err)
			return
		}
		if s.UserID() == "" {
			http.Error(w, "log in first", http.StatusUnauthorized)
			return
		}
		for info, err := range b.Sessions(r.Context(), bridge.Filter{UserID: s.UserID()}) {
			if err != nil {
				b.WriteError(w, r, err)
				return
			}
			if info.ID != s.ID() { // info.UserAgent, info.Addr and info.Seen tell the user which
				fmt.Fprint(w, "another device, ")
			}
		}
		fmt.Fprint(w, "this one")
	})
	mux.HandleFunc("/signout-others", func(w http.ResponseWriter, r *http.Request) {
		s, err := b.Session(r)
		if err != nil {
			b.WriteError(w, r, err)
			return
		}
		if s.UserID() == "" {
			http.Error(w, "log in first", http.StatusUnauthorized)
			return
		}
		n, err := b.DestroyUser(r.Context(), s.UserID(), s.ID())
		if err != nil {
			b.WriteError(w, r, err)
			return
		}
		fmt.Fprintf(w, "signed out: %d", n)
	})
	server := httptest.NewServer(b.Handler(mux))
	defer server.Close()

	phone, laptop := exampleBrowser(server), exampleBrowser(server)
	exampleGet(phone, server.URL+"/login")
	exampleGet(laptop, server.URL+"/login")
	fmt.Println(exampleGet(laptop, server.URL+"/devices"))
	fmt.Println(exampleGet(laptop, server.URL+"/signout-others"))
	fmt.Println(exampleGet(laptop, server.URL+"/devices"))
	fmt.Print(exampleGet(phone, server.URL+"/devices"))
	activity, err := b.Activity(context.Background(), 10*time.Minute)
	fmt.Println(activity.Users, activity.Sessions, err)
	// Output:
	// another device, this one
	// signed out: 1
	// this one
	// log in first
	// 1 1 <nil>
}

// What another program sends about a session, say a payment's outcome, goes into the session by its
// ID.
func ExampleBridge_MergeByID() {
	ctx := context.Background()
	b, err := bridge.New(livestore.New(), nil)
	if err != nil {
		panic(err)
	}
	defer func() { _ = b.Shutdown(ctx) }()
	server := httptest.NewServer(b.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s, err := b.Session(r)
		if err != nil {
			b.WriteError(w, r, err)
			return
		}
		s.Set("order", "open")
		s.Set("cart", 3)
		fmt.Fprint(w, s.ID())
	})))
	defer server.Close()
	id := exampleGet(exampleBrowser(server), server.URL)

	s, err := b.MergeByID(ctx, id, map[string]any{"order": "paid", "cart": nil})
	if err != nil {
		panic(err)
	}
	err = b.TouchByID(ctx, id) // the user will be back from the bank
	order, _ := s.Get("order")
	_, cart := s.Get("cart")
	fmt.Println(order, cart, err)
	// Output:
	// paid false <nil>
}

// A page tells its user why he has to sign in again.
func ExampleBridge_MissingReason() {
	b, err := bridge.New(livestore.New(), &bridge.Options{MaxSessionsPerUser: 1})
	if err != nil {
		panic(err)
	}
	defer func() { _ = b.Shutdown(context.Background()) }()
	mux := http.NewServeMux()
	mux.HandleFunc("/sign-in", func(w http.ResponseWriter, r *http.Request) {
		s, err := b.Session(r)
		if err == nil {
			err = s.Login("ada")
		}
		if err != nil {
			b.WriteError(w, r, err)
		}
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s, err := b.Peek(r)
		switch reason := bridge.MissingReasonOf(err); {
		case err == nil:
			fmt.Fprintf(w, "Welcome back, %s.\n", s.UserID())
		case reason == bridge.MissingEvicted, reason == bridge.MissingReplaced:
			fmt.Fprintln(w, "You were signed out because you logged in elsewhere.")
		case errors.Is(err, bridge.ErrSessionMissing):
			fmt.Fprintln(w, "Please sign in.")
		default:
			b.WriteError(w, r, err)
		}
	})
	server := httptest.NewServer(b.Handler(mux))
	defer server.Close()

	laptop, phone := exampleBrowser(server), exampleBrowser(server)
	fmt.Print(exampleGet(laptop, server.URL))
	exampleGet(laptop, server.URL+"/sign-in")
	fmt.Print(exampleGet(laptop, server.URL))
	exampleGet(phone, server.URL+"/sign-in")
	fmt.Print(exampleGet(laptop, server.URL))
	// Output:
	// Please sign in.
	// Welcome back, ada.
	// You were signed out because you logged in elsewhere.
}
