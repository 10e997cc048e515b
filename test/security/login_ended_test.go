package security_test

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
)

// aboutToEnd returns the cookies of a session of ada that waits for its end by a DestroyUser, which
// release lets go on.
func aboutToEnd(t *testing.T, st *teststore.Faulty, a *bridge.Bridge, app http.Handler) (
	p webclient.Pocket, ended <-chan outcome, release func(),
) {
	t.Helper()
	pockets := map[string]webclient.Pocket{}
	for range 33 { // one more than are ended at once
		p, id := testkit.SignIn(t, app, "ada")
		pockets[id] = p
	}
	on := teststore.NewGate()
	for i := range 32 {
		st.Next(i+1, "Destroy", on.Wait)
	}
	ended = destroyUser(t.Context(), a, "ada")
	for range 32 {
		await.Receive(t, on.Reached)
	}
	last := testkit.Listed(t, a, bridge.Filter{UserID: "ada"})[32]
	return pockets[last.ID], ended, func() { close(on.Opened) }
}

// A function of WithSession whose login ends the session instead has met no conflict: it doesn't run
// again, on a session that has ended.
func TestLoginInAFunctionWhileTheSessionIsAboutToEndRunsOnce(t *testing.T) {
	st := teststore.NewFaulty()
	b := testkit.NewBridge(t, st, nil)
	var runs atomic.Int64
	var result error
	code := "one-time code"
	mux := testkit.NewMux(b)
	mux.HandleFunc("/enter", func(_ http.ResponseWriter, r *http.Request) {
		result = b.WithSession(r, func(_ context.Context, s *bridge.Session) error {
			runs.Add(1)
			if code == "" { // somebody else has used it
				return nil
			}
			code = ""
			return s.Login("ada")
		}, nil)
	})
	app := b.Handler(mux)
	p, ended, release := aboutToEnd(t, st, b, app)
	res := p.Get(t, app, "/enter")
	release()
	require.Equal(t, outcome{33, nil}, await.Receive(t, ended))
	t.Log(res.Code, result, runs.Load())
	require.ErrorIs(t, result, bridge.ErrSessionGone)
	require.EqualValues(t, 1, runs.Load())
}

// If the store can't end the session, that is no conflict either: the error is that of the store.
func TestLoginInAFunctionWhileTheStoreCannotEndTheSession(t *testing.T) {
	st := teststore.NewFaulty()
	b := testkit.NewBridge(t, st, nil)
	var runs atomic.Int64
	var result error
	mux := testkit.NewMux(b)
	mux.HandleFunc("/enter", func(_ http.ResponseWriter, r *http.Request) {
		result = b.WithSession(r, func(_ context.Context, s *bridge.Session) error {
			runs.Add(1)
			return s.Login("ada")
		}, nil)
	})
	app := b.Handler(mux)
	p, ended, release := aboutToEnd(t, st, b, app)
	down := errors.New("down")
	for i := range 20 {
		st.Next(i+1, "Destroy", teststore.Refuse(down))
	}
	p.Get(t, app, "/enter")
	t.Log(result, runs.Load())
	st.Heal()
	release()
	await.Receive(t, ended)
	require.ErrorIs(t, result, bridge.ErrStoreUnavailable)
	require.EqualValues(t, 1, runs.Load())
}
