package compat_test

import (
	"encoding/gob"
	"fmt"
	"net/http"
	"testing"

	"github.com/gorilla/sessions"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// cart is a type of the application's own.
type cart struct {
	Items map[string]int
	Note  string
}

// gorillaApp serves handlers that are written against gorilla/sessions, beside the usual pages.
func gorillaApp(t *testing.T, st *failingStore, handlers map[string]func(w http.ResponseWriter, r *http.Request, gs *sessions.Session) error) *browser {
	t.Helper()
	gob.Register(cart{})
	b := newBridge(t, st, nil)
	gorilla := b.Gorilla()
	mux := pages(b)
	for path, handle := range handlers {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			gs, err := gorilla.Get(r, "sid")
			if err == nil {
				err = handle(w, r, gs)
			}
			if err != nil {
				http.Error(w, err.Error(), bridge.HTTPStatus(err))
			}
		})
	}
	return newBrowser(t, serve(t, b.Handler(mux)))
}

func TestGorillaSessionsSharesTheSession(t *testing.T) {
	br := gorillaApp(t, newStore(), map[string]func(http.ResponseWriter, *http.Request, *sessions.Session) error{
		"/count": func(w http.ResponseWriter, r *http.Request, gs *sessions.Session) error {
			n, _ := gs.Values["n"].(int)
			gs.Values["n"] = n + 1
			if err := gs.Save(r, w); err != nil {
				return err
			}
			_, err := fmt.Fprint(w, n+1, " ", gs.Values["k"])
			return err
		},
		"/delete": func(w http.ResponseWriter, r *http.Request, gs *sessions.Session) error {
			delete(gs.Values, "k")
			return gs.Save(r, w)
		},
		"/saveall": func(w http.ResponseWriter, r *http.Request, gs *sessions.Session) error {
			gs.Values["k"] = "by sessions.Save"
			return sessions.Save(r, w)
		},
	})
	require.Equal(t, "1 <nil>", br.ok("/count"))
	require.Equal(t, "2 <nil>", br.ok("/count"))
	require.Equal(t, "2", br.value("n"))
	br.ok("/set?k=v")
	require.Equal(t, "3 v", br.ok("/count"))
	br.ok("/delete")
	require.Equal(t, "none", br.value("k"))
	br.ok("/saveall")
	require.Equal(t, "by sessions.Save", br.value("k"))
}

func TestGorillaSessionsKeepsTypes(t *testing.T) {
	want := map[any]any{
		"int": 7, "negative": -7, "string": "s", "bool": true, "float": 1.5, "whole float": 2.0, "int64": int64(9), "bytes": []byte{0, 1},
		"cart": cart{map[string]int{"tea": 2}, "gift"}, "large": 1e300, "empty": "",
	}
	found := make(chan map[any]any, 1)
	br := gorillaApp(t, newStore(), map[string]func(http.ResponseWriter, *http.Request, *sessions.Session) error{
		"/put": func(w http.ResponseWriter, r *http.Request, gs *sessions.Session) error {
			gs.Values = want
			return gs.Save(r, w)
		},
		"/look": func(_ http.ResponseWriter, _ *http.Request, gs *sessions.Session) error {
			found <- gs.Values
			return nil
		},
	})
	br.ok("/put")
	br.ok("/look")
	require.Equal(t, want, wait(t, found))
}

func TestGorillaSessionsFlashes(t *testing.T) {
	br := gorillaApp(t, newStore(), map[string]func(http.ResponseWriter, *http.Request, *sessions.Session) error{
		"/flash": func(w http.ResponseWriter, r *http.Request, gs *sessions.Session) error {
			gs.AddFlash("one")
			gs.AddFlash("two")
			gs.AddFlash("other", "mine")
			return gs.Save(r, w)
		},
		"/show": func(w http.ResponseWriter, r *http.Request, gs *sessions.Session) error {
			flashes, mine := gs.Flashes(), gs.Flashes("mine")
			if err := gs.Save(r, w); err != nil {
				return err
			}
			_, err := fmt.Fprint(w, flashes, mine)
			return err
		},
	})
	br.ok("/flash")
	require.Equal(t, "[one two] [other]", br.ok("/show"))
	require.Equal(t, "[] []", br.ok("/show"))
}

func TestGorillaSessionsNegativeMaxAgeDestroys(t *testing.T) {
	st := newStore()
	br := gorillaApp(t, st, map[string]func(http.ResponseWriter, *http.Request, *sessions.Session) error{
		"/end": func(w http.ResponseWriter, r *http.Request, gs *sessions.Session) error {
			gs.Options.MaxAge = -1
			return gs.Save(r, w)
		},
	})
	br.ok("/set?k=v")
	br.ok("/end")
	n, err := st.sessions(t.Context())
	require.NoError(t, err)
	require.Zero(t, n)
	require.Empty(t, br.cookie("sid"))
	require.Equal(t, "none", br.value("k"))
}

func TestGorillaSessionsReportsWhatCantBeStored(t *testing.T) {
	st := newStore()
	br := gorillaApp(t, st, map[string]func(http.ResponseWriter, *http.Request, *sessions.Session) error{
		"/key": func(w http.ResponseWriter, r *http.Request, gs *sessions.Session) error {
			gs.Values[7] = "v"
			return gs.Save(r, w)
		},
		"/type": func(w http.ResponseWriter, r *http.Request, gs *sessions.Session) error {
			gs.Values["k"] = struct{ Unregistered int }{1}
			return gs.Save(r, w)
		},
		"/put": func(w http.ResponseWriter, r *http.Request, gs *sessions.Session) error {
			gs.Values["k"] = "changed"
			return gs.Save(r, w)
		},
	})
	br.ok("/set?k=v")
	rep := br.get("/key")
	require.Equal(t, http.StatusInternalServerError, rep.status)
	require.Contains(t, rep.body, "must be a string, not int")
	rep = br.get("/type")
	require.Equal(t, http.StatusInternalServerError, rep.status)
	require.Contains(t, rep.body, `"k"`)
	st.breakDown()
	require.Equal(t, http.StatusServiceUnavailable, br.get("/put").status, "Save returns the store's error")
	st.heal()
	require.Equal(t, "v", br.value("k"))
}

// Old and new code may meet in one request: a Save stores what the gorilla session changed, and leaves the rest as it is by then.
func TestG1_GorillaSessionsSavesWhatItChanged(t *testing.T) {
	b := newBridge(t, newStore(), nil)
	gorilla := b.Gorilla()
	mux := pages(b)
	mux.HandleFunc("/do", func(w http.ResponseWriter, r *http.Request) {
		gs, err := gorilla.Get(r, "sid")
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		s, err := b.Session(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		s.Set("new", "v")
		s.Set("both", "changed")
		s.Delete("gone")
		gs.Values["old"] = "v"
		if err := gs.Save(r, w); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	br := newBrowser(t, serve(t, b.Handler(mux)))
	br.ok("/set?both=v&gone=v&kept=v")
	br.ok("/do")
	require.Equal(t, "v", br.value("old"))
	require.Equal(t, "v", br.value("new"))
	require.Equal(t, "changed", br.value("both"))
	require.Equal(t, "none", br.value("gone"))
	require.Equal(t, "v", br.value("kept"))
}

// Maps have no order in gob: one that hasn't changed encodes in another way each time, and is no change for all that.
func TestG1_GorillaSessionsSeesWhetherAMapHasChanged(t *testing.T) {
	st := newStore()
	many := cart{Items: map[string]int{"a": 1, "b": 2, "c": 3, "d": 4, "e": 5, "f": 6, "g": 7, "h": 8}}
	br := gorillaApp(t, st, map[string]func(http.ResponseWriter, *http.Request, *sessions.Session) error{
		"/put": func(w http.ResponseWriter, r *http.Request, gs *sessions.Session) error {
			gs.Values["cart"] = many
			return gs.Save(r, w)
		},
		"/save": func(w http.ResponseWriter, r *http.Request, gs *sessions.Session) error { return gs.Save(r, w) },
	})
	br.ok("/put")
	stored := st.stored()
	for range 5 {
		br.ok("/save")
	}
	require.Equal(t, stored, st.stored())
}
