package bridge_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// What users of koa-io-session have, and docs/features.md lists. Its faults are in fault_koa_*_test.go.

// One session under three names that both transports know, and that follow the session.
func TestPeerKoaIOSession_ClientIDAndLiveSessionIDOverBoth(t *testing.T) {
	a := makeApp(t, livestore.New(), &bridge.Options{OnSessionEnd: bridge.KeepConns})
	a.session("/client", func(s *bridge.Session) (any, error) { return s.ClientID(), nil })
	ids := make(chan [2]string)
	a.mux.Handle("/ids", a.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
		for {
			if _, _, err := c.Read(ctx); err != nil {
				return err
			}
			ids <- [2]string{c.ClientID(), c.SessionID()}
		}
	}, nil))
	br := newBrowser(t, a.serve(t))
	br.ok("/inc")
	client, session := br.ok("/client"), br.ok("/id")
	ws := br.dial("/ids")
	ws.say("?")
	require.Equal(t, [2]string{client, session}, receive(t, ids))
	known, ok := a.SessionIDOf(client)
	require.True(t, ok)
	require.Equal(t, session, known)
	br.ok("/logout")
	ws.say("?")
	require.Equal(t, [2]string{client, ""}, receive(t, ids), "the client outlives its session")
	_, ok = a.SessionIDOf(client)
	require.False(t, ok)
}

// A handler that fails stores nothing of what it did, over both; koa's session = null is Destroy.
func TestPeerKoaIOSession_FailedHandlerStoresNothing(t *testing.T) {
	st := livestore.New()
	a := makeApp(t, st, nil)
	half := func(_ context.Context, s *bridge.Session) error { count.Set(s, 99); return errOwn }
	a.page("/half", func(r *http.Request) (any, error) { return nil, a.WithSession(r, half, nil) })
	errs := make(chan error, 1)
	a.mux.Handle("/half-socket", a.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
		errs <- c.WithSession(ctx, half, nil)
		return nil
	}, nil))
	br := newBrowser(t, a.serve(t))
	br.ok("/inc")
	before := stored(t, st, br.ok("/id"))
	require.Equal(t, 500, br.get("/half").status)
	br.dial("/half-socket").closed()
	require.ErrorIs(t, receive(t, errs), errOwn)
	require.Equal(t, "1", br.ok("/get"))
	after := stored(t, st, before.ID)
	require.Equal(t, before.Writes, after.Writes)

	err := a.UpdateByID(t.Context(), before.ID, func(_ context.Context, s *bridge.Session) error { s.Destroy(); return nil })
	require.NoError(t, err)
	_, err = a.GetByID(t.Context(), before.ID)
	require.ErrorIs(t, err, bridge.ErrSessionMissing)
}

func TestPeerKoaIOSession_AutoCleanupStartsOnceAndStopsOnce(t *testing.T) {
	a := makeApp(t, livestore.New(), &bridge.Options{AutoCleanup: bridge.Off})
	require.False(t, a.StopAutoCleanup(), "none is running")
	require.True(t, a.StartAutoCleanup(time.Hour))
	require.False(t, a.StartAutoCleanup(time.Hour), "one is running")
	require.True(t, a.StopAutoCleanup())
	require.False(t, a.StopAutoCleanup())
	require.False(t, a.StartAutoCleanup(0), "as often as possible is no interval")
	require.True(t, a.StartAutoCleanup(time.Millisecond))
}
