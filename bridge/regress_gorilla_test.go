package bridge_test

import (
	"net/http"
	"testing"

	"github.com/gorilla/sessions"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// All names are one session: what one of them saves is not undone by another that was read before.
func TestGorillaSessionsOfTwoNamesInOneRequestKeepEachOthersValues(t *testing.T) {
	a := makeApp(t, livestore.New(), nil)
	g := a.Gorilla()
	a.mux.HandleFunc("/both", func(w http.ResponseWriter, r *http.Request) {
		auth, err := g.Get(r, "auth")
		require.NoError(t, err)
		prefs, err := g.Get(r, "prefs")
		require.NoError(t, err)
		auth.Values["user"] = "ada"
		prefs.Values["lang"] = "en"
		require.NoError(t, sessions.Save(r, w))
		delete(prefs.Values, "lang")
		require.NoError(t, prefs.Save(r, w))
		auth.Values["again"] = true
		require.NoError(t, auth.Save(r, w))
	})
	h := a.Handler(a.mux)
	visitor := pocket{}
	require.Equal(t, http.StatusOK, visitor.get(t, h, "/both").Code)
	id := visitor.get(t, h, "/id").Body.String()
	require.Equal(t, map[string]any{"user": "ada", "again": true}, values(snapshot(t, a, id)))
}

func TestGorillaSaveKeepsWhatOthersHaveChangedSinceGet(t *testing.T) {
	a := makeApp(t, livestore.New(), nil)
	g := a.Gorilla()
	var id string
	a.mux.HandleFunc("/save", func(w http.ResponseWriter, r *http.Request) {
		gs, err := g.Get(r, "any")
		require.NoError(t, err)
		require.NoError(t, a.update(t, id, func(s *bridge.Session) { // another request
			count.Set(s, 7)
			s.Set("theirs", true)
			s.Delete("old")
		}))
		require.NoError(t, a.WithSession(r, set("inside", true), nil)) // this one
		gs.Values["mine"] = true
		delete(gs.Values, "mineold")
		require.NoError(t, gs.Save(r, w))
	})
	h := a.Handler(a.mux)
	visitor := pocket{}
	visitor.get(t, h, "/inc")
	id = visitor.get(t, h, "/id").Body.String()
	require.NoError(t, a.update(t, id, func(s *bridge.Session) { s.Set("old", true); s.Set("mineold", true) }))
	require.Equal(t, http.StatusOK, visitor.get(t, h, "/save").Code)
	require.Equal(t, map[string]any{"n": int64(7), "theirs": true, "inside": true, "mine": true}, values(snapshot(t, a, id)))
}
