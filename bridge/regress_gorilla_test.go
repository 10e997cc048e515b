package bridge_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

func TestGorillaSaveKeepsWhatOthersHaveChangedSinceGet(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	g := a.Gorilla()
	var id string
	a.Mux.HandleFunc("/save", func(w http.ResponseWriter, r *http.Request) {
		gs, err := g.Get(r, "sid")
		require.NoError(t, err)
		require.NoError(t, a.Update(t, id, func(s *bridge.Session) { // another request
			testkit.Count.Set(s, 7)
			s.Set("theirs", true)
			s.Delete("old")
		}))
		require.NoError(t, a.WithSession(r, testkit.Set("inside", true), nil)) // this one
		gs.Values["mine"] = true
		delete(gs.Values, "mineold")
		require.NoError(t, gs.Save(r, w))
	})
	h := a.Handler(a.Mux)
	visitor := webclient.Pocket{}
	visitor.Get(t, h, "/inc")
	id = visitor.Get(t, h, "/id").Body.String()
	require.NoError(t, a.Update(t, id, func(s *bridge.Session) { s.Set("old", true); s.Set("mineold", true) }))
	require.Equal(t, http.StatusOK, visitor.Get(t, h, "/save").Code)
	require.Equal(t, map[string]any{"n": int64(7), "theirs": true, "inside": true, "mine": true}, values(testkit.Snapshot(t, a, id)))
}
