package guarantees_test

import (
	"context"
	"maps"
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// The login is made within another function of WithSession, for example by a helper.
func TestG6_LoginMadeAgainWithinWithSession(t *testing.T) {
	for name, login := range map[string]func(a *testkit.App, r *http.Request) error{
		"Session": func(a *testkit.App, r *http.Request) error {
			s, err := a.Session(r)
			if err != nil {
				return err
			}
			return s.Login(r.FormValue("user"))
		},
		"WithSession": func(a *testkit.App, r *http.Request) error {
			return a.WithSession(r, func(_ context.Context, s *bridge.Session) error { return s.Login(r.FormValue("user")) }, nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st := livestore.New()
				a, h, p, _, id := lostLogin(t, st, nil)
				a.Page("/nested", func(r *http.Request) (any, error) {
					return "in", a.WithSession(r, func(ctx context.Context, _ *bridge.Session) error {
						return login(a, r.WithContext(ctx))
					}, nil)
				})
				before := teststore.Stored(t, st, id)
				require.Equal(t, http.StatusConflict, maps.Clone(p).Get(t, h, "/nested?user=eve").Code)
				require.Equal(t, before, teststore.Stored(t, st, id))
				require.Equal(t, http.StatusOK, p.Get(t, h, "/nested?user=ann").Code)
				require.Equal(t, "1", p.Get(t, h, "/get").Body.String())
				require.Equal(t, "ann", p.Get(t, h, "/user").Body.String())
			})
		})
	}
}
