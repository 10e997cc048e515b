package bridge_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// valuesApp is an application whose sessions say what they hold.
func valuesApp(t *testing.T, opts *bridge.Options) *testkit.App {
	a := testkit.NewApp(t, livestore.New(), opts)
	a.SessionPage("/put", func(s *bridge.Session) (any, error) {
		s.Set("private", "of the one before")
		s.AddFlash("flash of the one before")
		return "", nil
	})
	a.Page("/as", func(r *http.Request) (any, error) {
		s, err := a.Session(r)
		if err != nil {
			return nil, err
		}
		s.Set("early", true)
		if err := s.Login(r.FormValue("user")); err != nil {
			return nil, err
		}
		s.Set("late", true)
		s.AddFlash("welcome")
		return "", nil
	})
	a.Page("/asfn", func(r *http.Request) (any, error) {
		return "", a.WithSession(r, func(_ context.Context, s *bridge.Session) error { return s.Login(r.FormValue("user")) }, nil)
	})
	a.SessionPage("/holds", func(s *bridge.Session) (any, error) {
		return fmt.Sprintf("%s %v %v", s.UserID(), slices.Sorted(s.Keys()), s.Flashes()), nil
	})
	return a
}

func TestLoginOfAnotherUserClearsTheValues(t *testing.T) {
	for name, c := range map[string]struct {
		opts  bridge.Options
		first string // who logs in before; "" for a guest
		path  string
		want  string
	}{
		"another user":               {bridge.Options{}, "ada", "/as?user=bob", "bob [late] [welcome]"},
		"another user in a function": {bridge.Options{}, "ada", "/asfn?user=bob", "bob [] []"},
		"the same user":              {bridge.Options{}, "ada", "/as?user=ada", "ada [early late private] [flash of the one before welcome]"},
		"a guest":                    {bridge.Options{}, "", "/as?user=bob", "bob [early late private] [flash of the one before welcome]"},
		"another user, who keeps":    {bridge.Options{KeepValuesAtLogin: true}, "ada", "/as?user=bob", "bob [early late private] [flash of the one before welcome]"},
	} {
		t.Run(name, func(t *testing.T) {
			a := valuesApp(t, &c.opts)
			h := a.Handler(a.Mux)
			visitor := webclient.Pocket{}
			if c.first != "" {
				require.Equal(t, http.StatusOK, visitor.Get(t, h, "/login?user="+c.first).Code)
			}
			require.Equal(t, http.StatusOK, visitor.Get(t, h, "/put").Code)
			require.Equal(t, http.StatusOK, visitor.Get(t, h, c.path).Code)
			require.Equal(t, c.want, visitor.Get(t, h, "/holds").Body.String())
		})
	}
}

// What the other user's session gets while the login is under way is the other user's, too: from
// another tab, or from a program that knows the session by its ID.
func TestLoginOfAnotherUserClearsWhatIsStoredMeanwhile(t *testing.T) {
	a := valuesApp(t, nil)
	h := a.Handler(a.Mux)
	visitor := webclient.Pocket{}
	a.Page("/slow", func(r *http.Request) (any, error) {
		s, err := a.Session(r)
		if err != nil {
			return nil, err
		}
		if err := s.Login("bob"); err != nil {
			return nil, err
		}
		s.Set("late", true)
		require.Equal(t, http.StatusOK, maps.Clone(visitor).Get(t, h, "/put").Code)
		return "", a.UpdateByID(r.Context(), s.ID(), func(_ context.Context, s *bridge.Session) error {
			s.Set("unseen", "of the one before")
			s.AddFlash("flash of the one before")
			return nil
		})
	})
	require.Equal(t, http.StatusOK, visitor.Get(t, h, "/login?user=ada").Code)
	require.Equal(t, http.StatusOK, visitor.Get(t, h, "/slow").Code)
	require.Equal(t, "bob [late] []", visitor.Get(t, h, "/holds").Body.String())
}

// Two logins in one request: whoever logs in last gets nothing of the one before.
func TestSecondLoginOfARequestClearsTheValuesOfTheFirst(t *testing.T) {
	a := valuesApp(t, nil)
	a.SessionPage("/both", func(s *bridge.Session) (any, error) {
		s.Set("basket", 1)
		if err := s.Login("ada"); err != nil {
			return nil, err
		}
		s.Set("private", 1)
		return "", s.Login("bob")
	})
	h := a.Handler(a.Mux)
	visitor := webclient.Pocket{}
	require.Equal(t, http.StatusOK, visitor.Get(t, h, "/both").Code)
	require.Equal(t, "bob [] []", visitor.Get(t, h, "/holds").Body.String())
}

// A login that fails leaves everything as it was.
func TestLoginThatIsUndoneClearsNothing(t *testing.T) {
	a := valuesApp(t, nil)
	a.Page("/fail", func(r *http.Request) (any, error) {
		err := a.WithSession(r, func(_ context.Context, s *bridge.Session) error {
			require.NoError(t, s.Login("bob"))
			s.Set("late", true)
			return teststore.ErrDiskFull
		}, nil)
		require.ErrorIs(t, err, teststore.ErrDiskFull)
		return "", nil
	})
	h := a.Handler(a.Mux)
	visitor := webclient.Pocket{}
	require.Equal(t, http.StatusOK, visitor.Get(t, h, "/login?user=ada").Code)
	require.Equal(t, http.StatusOK, visitor.Get(t, h, "/put").Code)
	require.Equal(t, http.StatusOK, visitor.Get(t, h, "/fail").Code)
	require.Equal(t, "ada [private] [flash of the one before]", visitor.Get(t, h, "/holds").Body.String())
}
