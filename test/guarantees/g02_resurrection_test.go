package guarantees_test

import (
	"context"
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// slow is a handler that stops in the middle, and reports the result of its change.
type slow struct {
	inside, goOn chan struct{}
	result       chan error
}

func newSlow() *slow { return &slow{make(chan struct{}), make(chan struct{}), make(chan error, 1)} }

func (s *slow) change(_ context.Context, ses *bridge.Session) error {
	close(s.inside)
	<-s.goOn
	ses.Set("late", true)
	return nil
}

// socket makes the change over a connection.
func (s *slow) socket(a *testkit.App) http.Handler {
	return a.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
		err := c.WithSession(ctx, s.change, nil)
		s.result <- err
		return err
	}, nil)
}

func TestG2_NoResurrection_RequestInFlight(t *testing.T) {
	st := livestore.New()
	a := testkit.NewApp(t, st, nil)
	sl := newSlow()
	a.Page("/slow", func(r *http.Request) (any, error) {
		s, err := a.Session(r)
		if err == nil {
			err = sl.change(r.Context(), s)
		}
		return "a 200 for a lost write", err
	})
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/inc")
	id := br.OK("/id")
	var wg sync.WaitGroup
	var rep webclient.Reply
	thief := br.Another() // the answer's cookies must not affect the logout
	wg.Go(func() { rep = thief.Get("/slow") })
	<-sl.inside
	br.OK("/logout")
	close(sl.goOn)
	wg.Wait()
	require.Equal(t, http.StatusUnauthorized, rep.Status)
	require.Empty(t, rep.Header["Set-Cookie"], "the browser may have the next session's cookie by now")
	requireGone(t, a, st, id)
}

func TestG2_NoResurrection_WithSessionInFlight(t *testing.T) {
	for name, inFlight := range map[string]func(a *testkit.App, sl *slow, br *webclient.Browser, wg *sync.WaitGroup){
		"http": func(a *testkit.App, sl *slow, br *webclient.Browser, wg *sync.WaitGroup) {
			a.Page("/slow", func(r *http.Request) (any, error) {
				err := a.WithSession(r, sl.change, nil)
				sl.result <- err
				return "done", err
			})
			wg.Go(func() { br.Get("/slow") })
		},
		"socket": func(a *testkit.App, sl *slow, br *webclient.Browser, _ *sync.WaitGroup) {
			a.Mux.Handle("/slow", sl.socket(a))
			br.Dial("/slow")
		},
		"api": func(a *testkit.App, sl *slow, br *webclient.Browser, wg *sync.WaitGroup) {
			id := br.OK("/id")
			wg.Go(func() { sl.result <- a.UpdateByID(t.Context(), id, sl.change) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			st := livestore.New()
			a := testkit.NewApp(t, st, nil)
			br := webclient.NewBrowser(t, a.Serve(t))
			br.OK("/inc")
			id := br.OK("/id")
			sl := newSlow()
			var wg sync.WaitGroup
			inFlight(a, sl, br, &wg)
			<-sl.inside
			was, err := a.DestroyByID(t.Context(), id)
			require.NoError(t, err)
			require.True(t, was)
			close(sl.goOn)
			require.ErrorIs(t, <-sl.result, bridge.ErrSessionGone)
			wg.Wait()
			requireGone(t, a, st, id)
		})
	}
}

func TestG2_NoResurrection_ByIDCallsCannotCreate(t *testing.T) {
	st := livestore.New()
	a := testkit.NewApp(t, st, nil)
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/inc")
	id := br.OK("/id")
	_, err := a.DestroyByID(t.Context(), id)
	require.NoError(t, err)
	requireGone(t, a, st, id)
	require.Equal(t, "1", br.OK("/inc"), "the next request begins a new session")
	require.NotEqual(t, id, br.OK("/id"))
	requireGone(t, a, st, id)
}

func requireGone(t *testing.T, a *testkit.App, st *livestore.Store, id string) {
	t.Helper()
	for rec, err := range st.List(t.Context()) {
		require.NoError(t, err)
		require.NotEqual(t, id, rec.ID, "resurrected")
	}
	_, err := a.GetByID(t.Context(), id)
	require.ErrorIs(t, err, bridge.ErrSessionMissing)
	require.ErrorIs(t, a.SetByID(t.Context(), id, map[string]any{"x": 1}, 0), bridge.ErrSessionMissing)
	_, mapped := a.ClientIDOf(id)
	require.False(t, mapped)
}
