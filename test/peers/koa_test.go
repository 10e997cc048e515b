package peers_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// What users of koa-io-session have, and docs/features.md lists. Its faults are in
// fault_koa_*_test.go.

// One session under three names that both transports know, and that follow the session.
func TestPeerKoaIOSession_ClientIDAndLiveSessionIDOverBoth(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), &bridge.Options{OnSessionEnd: bridge.KeepConns})
	a.SessionPage("/client", func(s *bridge.Session) (any, error) { return s.ClientID(), nil })
	ids := make(chan [2]string)
	a.Mux.Handle("/ids", a.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
		for {
			if _, _, err := c.Read(ctx); err != nil {
				return err
			}
			ids <- [2]string{c.ClientID(), c.SessionID()}
		}
	}, nil))
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/inc")
	client, session := br.OK("/client"), br.OK("/id")
	ws := br.Dial("/ids")
	ws.Say("?")
	require.Equal(t, [2]string{client, session}, await.Receive(t, ids))
	known, ok := a.SessionIDOf(client)
	require.True(t, ok)
	require.Equal(t, session, known)
	br.OK("/logout")
	ws.Say("?")
	require.Equal(t, [2]string{client, ""}, await.Receive(t, ids), "the client outlives its session")
	_, ok = a.SessionIDOf(client)
	require.False(t, ok)
}

// A handler that fails stores nothing of what it did, over both; koa's session = null is Destroy.
func TestPeerKoaIOSession_FailedHandlerStoresNothing(t *testing.T) {
	st := livestore.New()
	a := testkit.NewApp(t, st, nil)
	half := func(_ context.Context, s *bridge.Session) error { testkit.Count.Set(s, 99); return testkit.ErrApp }
	a.Page("/half", func(r *http.Request) (any, error) { return nil, a.WithSession(r, half, nil) })
	errs := make(chan error, 1)
	a.Mux.Handle("/half-socket", a.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
		errs <- c.WithSession(ctx, half, nil)
		return nil
	}, nil))
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/inc")
	before := teststore.Stored(t, st, br.OK("/id"))
	require.Equal(t, 500, br.Get("/half").Status)
	br.Dial("/half-socket").Closed()
	require.ErrorIs(t, await.Receive(t, errs), testkit.ErrApp)
	require.Equal(t, "1", br.OK("/get"))
	after := teststore.Stored(t, st, before.ID)
	require.Equal(t, before.Writes, after.Writes)

	err := a.UpdateByID(t.Context(), before.ID, func(_ context.Context, s *bridge.Session) error { s.Destroy(); return nil })
	require.NoError(t, err)
	_, err = a.GetByID(t.Context(), before.ID)
	require.ErrorIs(t, err, bridge.ErrSessionMissing)
}

func TestPeerKoaIOSession_AutoCleanupStartsOnceAndStopsOnce(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), &bridge.Options{AutoCleanup: bridge.Off})
	require.False(t, a.StopAutoCleanup(), "none is running")
	require.True(t, a.StartAutoCleanup(time.Hour))
	require.False(t, a.StartAutoCleanup(time.Hour), "one is running")
	require.True(t, a.StopAutoCleanup())
	require.False(t, a.StopAutoCleanup())
	require.False(t, a.StartAutoCleanup(0), "as often as possible is no interval")
	require.True(t, a.StartAutoCleanup(time.Millisecond))
}
