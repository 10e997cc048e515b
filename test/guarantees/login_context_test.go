package guarantees_test

import (
	"fmt"
	"maps"
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// The holder of a replaced token must not get data that a handler keeps under the session's ID.
func TestG6_ReplacedTokenHasNoSessionIDInTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, h, p, _, id := lostLogin(t, livestore.New(), nil)
		var seen []string
		look := func(r *http.Request) {
			id, ok := bridge.SessionIDFrom(r.Context())
			seen = append(seen, fmt.Sprint(id, " ", ok))
		}
		a.Page("/look", func(r *http.Request) (any, error) {
			s, err := a.Session(r)
			if err != nil {
				return nil, err
			}
			look(r)
			err = s.Login(r.FormValue("user"))
			look(r)
			return nil, err
		})
		require.Equal(t, http.StatusConflict, maps.Clone(p).Get(t, h, "/look?user=eve").Code)
		require.Equal(t, http.StatusOK, p.Get(t, h, "/look?user=ann").Code)
		require.Equal(t, []string{" false", " false", " false", id + " true"}, seen)
	})
}
