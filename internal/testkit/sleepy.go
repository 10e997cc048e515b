package testkit

import (
	"context"
	"net/http"
	"time"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// SleepyPages adds pages that wait for the duration ?before before they open their session, and for
// ?after before they answer. /sleepy reads, /sleepyset changes the session; /sleepywith,
// /sleepylogout and /sleepyextend change it in a WithSession. It adds /user as well, which doesn't
// wait.
func SleepyPages(a *App) {
	pause := func(r *http.Request, name string) {
		d, _ := time.ParseDuration(r.URL.Query().Get(name))
		time.Sleep(d)
	}
	change := func(r *http.Request, fn func(s *bridge.Session)) (any, error) {
		pause(r, "before")
		s, err := a.Session(r)
		if err != nil {
			return nil, err
		}
		fn(s)
		pause(r, "after")
		return s.UserID(), s.Err()
	}
	a.Page("/sleepy", func(r *http.Request) (any, error) { return change(r, func(*bridge.Session) {}) })
	a.Page("/sleepyset", func(r *http.Request) (any, error) {
		return change(r, func(s *bridge.Session) { s.Set("slow", true) })
	})
	with := func(fn func(*bridge.Session) error) func(r *http.Request) (any, error) {
		return func(r *http.Request) (any, error) {
			pause(r, "before")
			err := a.WithSession(r, func(_ context.Context, s *bridge.Session) error { return fn(s) }, nil)
			pause(r, "after")
			return "done", err
		}
	}
	a.Page("/sleepywith", with(func(s *bridge.Session) error { s.Set("slow", true); return nil }))
	a.Page("/sleepylogout", with(func(s *bridge.Session) error { s.Logout(); return nil }))
	a.Page("/sleepyextend", with(func(s *bridge.Session) error { s.SetLifetime(48 * time.Hour); return nil }))
	a.Page("/user", func(r *http.Request) (any, error) {
		s, err := a.Session(r)
		if err != nil {
			return nil, err
		}
		return s.UserID(), nil
	})
}
