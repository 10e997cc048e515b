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

// examplePages are handlers by path that have their session at hand.
type examplePages map[string]func(http.ResponseWriter, *bridge.Session) error

// exampleSite serves pages that get their session, and returns a browser's function that gets one
// by its path.
func exampleSite(pages examplePages) (get func(string) string, end func()) {
	b, err := bridge.New(livestore.New(), nil)
	if err != nil {
		panic(err)
	}
	server := httptest.NewServer(b.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s, err := b.Session(r)
		if err == nil {
			err = pages[r.URL.Path](w, s)
		}
		if err != nil {
			b.WriteError(w, r, err)
		}
	})))
	browser := exampleBrowser(server)
	return func(path string) string { return exampleGet(browser, server.URL+path) },
		func() { server.Close(); _ = b.Shutdown(context.Background()) }
}

// A message that the next page shows once. Two requests that add one each lose none.
func ExampleSession_AddFlash() {
	get, end := exampleSite(examplePages{
		"/save": func(_ http.ResponseWriter, s *bridge.Session) error {
			s.AddFlash("saved")
			return nil
		},
		"/": func(w http.ResponseWriter, s *bridge.Session) error {
			_, err := fmt.Fprint(w, s.Flashes()...)
			return err
		},
	})
	defer end()
	get("/save")
	fmt.Printf("%q\n", get("/"))
	fmt.Printf("%q\n", get("/"))
	// Output:
	// "saved"
	// ""
}

// The whole session as a struct. Keys that the struct doesn't have stay as they are.
func ExampleSession_Encode() {
	type profile struct {
		Name  string `json:"name"`
		Theme string `json:"theme"`
	}
	get, end := exampleSite(examplePages{
		"/set": func(_ http.ResponseWriter, s *bridge.Session) error {
			s.Set("visits", 7)
			return s.Encode(profile{"Ada", "dark"})
		},
		"/": func(w http.ResponseWriter, s *bridge.Session) error {
			var p profile
			if err := s.Decode(&p); err != nil {
				return err
			}
			visits, _ := s.Get("visits")
			_, err := fmt.Fprint(w, p.Name, " ", p.Theme, " ", visits)
			return err
		},
	})
	defer end()
	get("/set")
	fmt.Println(get("/"))
	// Output: Ada dark 7
}

// "Remember me": the cookie lasts for the session's lifetime, or until the browser is closed.
func ExampleSession_SetPersistent() {
	b, err := bridge.New(livestore.New(), nil)
	if err != nil {
		panic(err)
	}
	defer func() { _ = b.Shutdown(context.Background()) }()
	login := b.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s, err := b.Session(r)
		if err == nil {
			s.SetPersistent(r.FormValue("remember") == "on")
			err = s.Login("ada")
		}
		if err != nil {
			b.WriteError(w, r, err)
		}
	}))
	for _, box := range []string{"on", "off"} {
		w := httptest.NewRecorder()
		login.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/login?remember="+box, nil))
		for _, cookie := range w.Result().Cookies() {
			if cookie.Name == "sid" {
				fmt.Println(box, time.Duration(cookie.MaxAge)*time.Second)
			}
		}
	}
	// Output:
	// on 720h0m0s
	// off 0s
}

// The times of a single session: it lasts ten minutes, whether or not it is used.
func ExampleSession_SetLifetime() {
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
	err = b.UpdateByID(ctx, c.SessionID, func(_ context.Context, s *bridge.Session) error {
		s.SetIdleTimeout(bridge.Off)
		s.SetLifetime(10 * time.Minute)
		return nil
	})
	fmt.Println(err)
	s, err := b.GetByID(ctx, c.SessionID)
	left, ends := s.TimeLeft()
	fmt.Println(left.Round(time.Minute), ends, err)
	fmt.Println(s.IdleDeadline().IsZero(), s.Expires().Sub(s.LoggedIn()).Round(time.Minute))
	// Output:
	// <nil>
	// 10m0s true <nil>
	// true 10m0s
}

// A rotation replaces the secret in the cookie and keeps the session.
func ExampleSession_Rotate() {
	get, end := exampleSite(examplePages{
		"/": func(w http.ResponseWriter, s *bridge.Session) error {
			s.Set("seen", true)
			_, err := fmt.Fprint(w, s.ID())
			return err
		},
		"/rotate": func(w http.ResponseWriter, s *bridge.Session) error {
			if err := s.Rotate(); err != nil {
				return err
			}
			_, err := fmt.Fprint(w, s.ID())
			return err
		},
	})
	defer end()
	before := get("/")
	fmt.Println(before == get("/rotate"), before == get("/"))
	// Output: true true
}

// The client of an RPC server gets a new token now and then, without a login.
func ExampleBridge_RotateCredentials() {
	ctx := context.Background()
	b, err := bridge.New(livestore.New(), nil)
	if err != nil {
		panic(err)
	}
	defer func() { _ = b.Shutdown(ctx) }()
	before, err := b.Create(ctx, bridge.NewSession{UserID: "ada"})
	if err != nil {
		panic(err)
	}
	after, err := b.RotateCredentials(ctx, before)
	fmt.Println(err, after.SessionID == before.SessionID, after.Token == before.Token)
	_, err = b.Open(ctx, after) // the first use of the new token: from now on the old one opens nothing
	fmt.Println(err)
	_, err = b.PeekCredentials(ctx, before) // Open without activity
	fmt.Println(errors.Is(err, bridge.ErrSessionMissing), bridge.MissingReasonOf(err))
	// Output:
	// <nil> true false
	// <nil>
	// true refused
}
