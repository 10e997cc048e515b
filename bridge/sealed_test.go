package bridge_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// TestSealedSessionSaysSo whatever else would be wrong with the call: methods that change it and
// return an error return ErrSessionClosed.
func TestSealedSessionSaysSo(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	kept := map[string]*bridge.Session{}
	keep := func(name string) func(*bridge.Session) (any, error) {
		return func(s *bridge.Session) (any, error) { kept[name] = s; return s.ID(), nil }
	}
	a.SessionPage("/keep", keep("a request's"))
	h := a.Handler(a.Mux)
	p := webclient.Pocket{}
	require.Equal(t, http.StatusOK, p.Get(t, h, "/login?user=ada").Code)
	id := p.Get(t, h, "/keep").Body.String()
	snapshot, err := a.GetByID(t.Context(), id)
	require.NoError(t, err)
	kept["a snapshot"] = snapshot
	require.NoError(t, a.UpdateByID(t.Context(), id, func(_ context.Context, s *bridge.Session) error {
		kept["an update's"] = s
		return nil
	}))
	a.Mux.HandleFunc("/within", func(_ http.ResponseWriter, r *http.Request) {
		err := a.WithSession(r, func(_ context.Context, s *bridge.Session) error { kept["a WithSession's"] = s; return nil }, nil)
		require.NoError(t, err)
	})
	require.Equal(t, http.StatusOK, p.Get(t, h, "/within").Code)
	site := a.Serve(t)
	br := webclient.NewBrowser(t, site)
	for name, value := range p {
		br.SetCookie(name, value)
	}
	done := make(chan error, 1)
	a.Mux.Handle("/socket", a.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
		err := c.WithSession(ctx, func(_ context.Context, s *bridge.Session) error { kept["a socket's"] = s; return nil }, nil)
		done <- err
		return err
	}, nil))
	br.Dial("/socket")
	require.NoError(t, await.Receive(t, done))

	require.Len(t, kept, 5)
	for name, s := range kept {
		for method, call := range map[string]func() error{
			"Login":            func() error { return s.Login("ada") },
			"Login of nobody":  func() error { return s.Login("") },
			"Rotate":           s.Rotate,
			"Encode":           func() error { return s.Encode(map[string]int{"k": 1}) },
			"Encode of no map": func() error { return s.Encode(1) },
		} {
			require.ErrorIs(t, call(), bridge.ErrSessionClosed, "%s, %s", name, method)
		}
		require.Equal(t, "ada", s.UserID(), "%s can be read", name)
		require.NoError(t, s.Decode(&map[string]any{}), name)
		require.NoError(t, s.RequireAuthAge(time.Hour), name)
	}
}
