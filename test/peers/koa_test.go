package peers_test

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
	"github.com/sessionbridge/sessionbridge/store"
)

// The features of koa-io-session, as docs/features.md lists them. Its faults are in
// koa_fault_*_test.go.

// Both transports return the IDs of the client and of its session, also after a change of the
// session.
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

// A handler that fails stores none of its changes, over both transports. The session = null of koa
// is Destroy.
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
	require.False(t, a.StartAutoCleanup(bridge.Off), "there is no such interval")
	require.True(t, a.StartAutoCleanup(time.Nanosecond), "MinTimeout")
	require.True(t, a.StopAutoCleanup())
	require.True(t, a.StartAutoCleanup(1<<63-1), "the longest")
}

// An interval that is too short is MinTimeout, and one that is too long runs no cleanup at once.
func TestPeerKoaIOSession_AutoCleanupIntervalsOutOfRange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), &bridge.Options{AutoCleanup: bridge.Off})
		cleanups := testkit.Record[bridge.Cleanup](t, a.Bridge)
		require.True(t, a.StartAutoCleanup(time.Nanosecond))
		time.Sleep(bridge.MinTimeout - 1)
		synctest.Wait()
		require.Empty(t, cleanups.Rest())
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		require.Len(t, cleanups.Rest(), 1)
		require.True(t, a.StopAutoCleanup())
		require.True(t, a.StartAutoCleanup(1<<63-1))
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Empty(t, cleanups.Rest())
	})
}

// TestPeerKoaIOSession_AutoCleanupWithoutAnInterval: it is that of the options, or the default.
func TestPeerKoaIOSession_AutoCleanupWithoutAnInterval(t *testing.T) {
	for option, want := range map[time.Duration]time.Duration{bridge.Off: 6 * time.Hour, time.Hour: time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			a := testkit.NewApp(t, livestore.New(), &bridge.Options{AutoCleanup: option})
			a.StopAutoCleanup()
			cleanups := testkit.Record[bridge.Cleanup](t, a.Bridge)
			require.True(t, a.StartAutoCleanup(0))
			require.False(t, a.StartAutoCleanup(0), "one is running")
			time.Sleep(want - 1)
			synctest.Wait()
			require.Empty(t, cleanups.Rest())
			time.Sleep(time.Nanosecond)
			synctest.Wait()
			require.Len(t, cleanups.Rest(), 1)
		})
	}
}

// optimized numbers the calls of Optimize, from 1, and calls before first.
type optimized struct {
	store.Store
	store.Optimizer
	store.Sweeper
	store.ActivityIndex
	calls  atomic.Int32
	before func(ctx context.Context, call int32) error
}

func (o *optimized) Optimize(ctx context.Context) error {
	return errors.Join(o.before(ctx, o.calls.Add(1)), o.Optimizer.Optimize(ctx))
}

// TestPeerKoaIOSession_OptimizeAfterACleanup that has removed the share of the sessions.
func TestPeerKoaIOSession_OptimizeAfterACleanup(t *testing.T) {
	const least = 1000 // sessions
	for name, inner := range stores(t) {
		t.Run(name, func(t *testing.T) {
			began := make(chan struct{})
			st := &optimized{
				inner.(store.Store), inner.(store.Optimizer), inner.(store.Sweeper), inner.(store.ActivityIndex),
				atomic.Int32{},
				func(ctx context.Context, call int32) error {
					switch call {
					case 2:
						return testkit.ErrApp
					case 3:
						close(began)
						<-ctx.Done()
					}
					return nil
				},
			}
			a := testkit.NewApp(t, st, &bridge.Options{OptimizeAfter: 0.5, AutoCleanup: bridge.Off})
			failures := testkit.Record[bridge.Failure](t, a.Bridge)
			end := func(n int) {
				t.Helper()
				for range n {
					past := time.Now().Add(-time.Minute)
					_, err := st.Set(t.Context(), store.Record{
						ID: uuid.NewString(), ClientID: "c", Data: []byte("{}"), Created: past, Seen: past, Expires: past, Idle: time.Hour,
					})
					require.NoError(t, err)
				}
				cleared, err := a.Cleanup(t.Context())
				require.NoError(t, err)
				require.Equal(t, n, cleared)
			}
			// called cleans up until that call has begun: a cleanup that finds the one before still running
			// leaves it to the next.
			called := func(call int32) {
				t.Helper()
				require.Eventually(t, func() bool {
					if st.calls.Load() < call {
						end(0)
					}
					return st.calls.Load() == call
				}, await.Limit, time.Millisecond)
			}
			webclient.Pocket{}.Get(t, a.Handler(a.Mux), "/inc")
			end(least - 1)
			require.Zero(t, st.calls.Load())
			end(1)
			called(1)
			end(least)
			called(2)
			require.ErrorIs(t, failures.Next().Err, testkit.ErrApp)
			called(3)
			<-began
			require.NoError(t, a.Shutdown(t.Context()), "it ends the call")
			end(0)
			require.EqualValues(t, 3, st.calls.Load())
		})
	}
}
