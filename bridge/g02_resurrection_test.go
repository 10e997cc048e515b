package bridge_test

import (
	"context"
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// slow is a handler that stops in the middle, and says what became of its change.
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
func (s *slow) socket(a *app) http.Handler {
	return a.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
		err := c.WithSession(ctx, s.change, nil)
		s.result <- err
		return err
	}, nil)
}

func TestG2_NoResurrection_RequestInFlight(t *testing.T) {
	st := livestore.New()
	a := makeApp(t, st, nil)
	sl := newSlow()
	a.page("/slow", func(r *http.Request) (any, error) {
		s, err := a.Session(r)
		if err == nil {
			err = sl.change(r.Context(), s)
		}
		return "a 200 for a lost write", err
	})
	br := newBrowser(t, a.serve(t))
	br.ok("/inc")
	id := br.ok("/id")
	var wg sync.WaitGroup
	var rep reply
	thief := br.another() // the answer's cookies must not matter to the logout
	wg.Go(func() { rep = thief.get("/slow") })
	<-sl.inside
	br.ok("/logout")
	close(sl.goOn)
	wg.Wait()
	require.Equal(t, http.StatusUnauthorized, rep.status)
	require.Empty(t, rep.header["Set-Cookie"], "the browser may have the next session's cookie by now")
	requireGone(t, a, st, id)
}

func TestG2_NoResurrection_WithSessionInFlight(t *testing.T) {
	for name, inFlight := range map[string]func(a *app, sl *slow, br *browser, wg *sync.WaitGroup){
		"http": func(a *app, sl *slow, br *browser, wg *sync.WaitGroup) {
			a.page("/slow", func(r *http.Request) (any, error) {
				err := a.WithSession(r, sl.change, nil)
				sl.result <- err
				return "done", err
			})
			wg.Go(func() { br.get("/slow") })
		},
		"socket": func(a *app, sl *slow, br *browser, _ *sync.WaitGroup) {
			a.mux.Handle("/slow", sl.socket(a))
			br.dial("/slow")
		},
		"api": func(a *app, sl *slow, br *browser, wg *sync.WaitGroup) {
			id := br.ok("/id")
			wg.Go(func() { sl.result <- a.UpdateByID(t.Context(), id, sl.change) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			st := livestore.New()
			a := makeApp(t, st, nil)
			br := newBrowser(t, a.serve(t))
			br.ok("/inc")
			id := br.ok("/id")
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
	a := makeApp(t, st, nil)
	br := newBrowser(t, a.serve(t))
	br.ok("/inc")
	id := br.ok("/id")
	_, err := a.DestroyByID(t.Context(), id)
	require.NoError(t, err)
	requireGone(t, a, st, id)
	require.Equal(t, "1", br.ok("/inc"), "the next request begins a new session")
	require.NotEqual(t, id, br.ok("/id"))
	requireGone(t, a, st, id)
}

func requireGone(t *testing.T, a *app, st *livestore.Store, id string) {
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
