package faults_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
	"github.com/sessionbridge/sessionbridge/internal/testkit/teststore"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// Callers that wait for a session get it in the order of arrival. One that gives up doesn't change
// the order of the others.
func TestCancelledWaiterLeavesTheQueueInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _, id := testkit.NewSessionOf(t, nil)
		errGaveUp := errors.New("gave up")
		release := make(chan struct{})
		var order []string
		enter := func(ctx context.Context, name string, before func()) <-chan error {
			done := make(chan error, 1)
			go func() {
				done <- a.UpdateByID(ctx, id, func(context.Context, *bridge.Session) error {
					before()
					order = append(order, name)
					return nil
				})
			}()
			synctest.Wait() // it is in the queue
			return done
		}
		nothing := func() {}
		first := enter(t.Context(), "1", func() { <-release })
		second := enter(t.Context(), "2", nothing)
		given, giveUp := context.WithCancelCause(t.Context())
		third := enter(given, "3", nothing)
		fourth := enter(t.Context(), "4", nothing)
		giveUp(errGaveUp)
		require.ErrorIs(t, <-third, errGaveUp, "at once, with the cause")
		close(release)
		for _, done := range []<-chan error{first, second, fourth} {
			require.NoError(t, <-done)
		}
		require.Equal(t, "1 2 4", strings.Join(order, " "))
	})
}

func TestWaiterIsGoneWithItsRequestAndItsConnection(t *testing.T) {
	t.Parallel()
	a := testkit.NewApp(t, livestore.New(), nil)
	inside, release, gone := make(chan struct{}), make(chan struct{}), make(chan error, 2)
	conns := make(chan *bridge.Conn, 1)
	a.Page("/hold", func(r *http.Request) (any, error) {
		return nil, a.WithSession(r, func(context.Context, *bridge.Session) error { close(inside); <-release; return nil }, nil)
	})
	waiting := make(chan struct{}, 2)
	a.Page("/wait", func(r *http.Request) (any, error) {
		waiting <- struct{}{}
		err := a.WithSession(r, func(context.Context, *bridge.Session) error { return nil }, nil)
		gone <- err
		return nil, err
	})
	a.Mux.Handle("/waitws", a.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
		conns <- c
		waiting <- struct{}{}
		err := c.WithSession(ctx, func(context.Context, *bridge.Session) error { return nil }, nil)
		gone <- err
		return err
	}, nil))
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/inc")
	held := make(chan webclient.Reply, 1)
	go func() { held <- br.Get("/hold") }()
	await.Receive(t, inside)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { _, _ = br.Try(ctx, "/wait") }()
	await.Receive(t, waiting)
	cancel()
	require.ErrorIs(t, await.Receive(t, gone), context.Canceled)
	ws := br.Dial("/waitws")
	await.Receive(t, waiting)
	require.NoError(t, await.Receive(t, conns).Close(4000, "enough"))
	require.Error(t, await.Receive(t, gone))
	require.Equal(t, 4000, ws.Closed())
	close(release)
	require.Equal(t, http.StatusOK, await.Receive(t, held).Status)
	require.Equal(t, "2", br.OK("/inc"))
}

// Neither a handler that hangs nor one that waits for it delays a logout.
func TestDestroyDoesNotWaitForAHungHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _, id := testkit.NewSessionOf(t, nil)
		release, done := make(chan struct{}), make(chan error, 2)
		for range 2 {
			go func() {
				done <- a.UpdateByID(t.Context(), id, func(_ context.Context, s *bridge.Session) error { <-release; s.Set("k", 1); return nil })
			}()
			synctest.Wait()
		}
		was, err := a.DestroyByID(t.Context(), id)
		require.NoError(t, err)
		require.True(t, was)
		close(release)
		require.ErrorIs(t, <-done, bridge.ErrSessionGone, "the one that ran")
		require.ErrorIs(t, <-done, bridge.ErrSessionMissing, "the one that waited")
	})
}

// If the session is destroyed at any moment of a handshake, the connection doesn't stay open on it.
// A handshake reads the session twice: to open it, and once more when the connection is registered.
func TestHandshakeRacingADestroy(t *testing.T) {
	for name, c := range map[string]struct {
		read   int
		before bool
		policy bridge.SessionEndPolicy
		closed bool
	}{
		"before the first read":            {1, true, bridge.CloseConns, false}, // a handshake without a session
		"after the first read":             {1, false, bridge.CloseConns, false},
		"before the second read":           {2, true, bridge.CloseConns, true},
		"after the second read":            {2, false, bridge.CloseConns, true},
		"after the second read, kept open": {2, false, bridge.KeepConns, false},
	} {
		t.Run(name, func(t *testing.T) {
			st := teststore.NewFaulty()
			a := testkit.NewApp(t, st, &bridge.Options{OnSessionEnd: c.policy})
			br := webclient.NewBrowser(t, a.Serve(t))
			br.OK("/inc")
			id := br.OK("/id")
			destroyed := make(chan error, 1)
			destroy := func() {
				_, err := a.DestroyByID(t.Context(), id)
				destroyed <- err
			}
			st.Next(c.read, "Get", func(_ context.Context, get func() error) error {
				if c.before {
					destroy()
					return get()
				}
				defer destroy()
				return get()
			})
			ws := br.Dial("/ws")
			require.NoError(t, await.Receive(t, destroyed))
			if c.closed {
				require.Equal(t, bridge.CodeDestroyed, ws.Closed())
				return
			}
			require.Equal(t, `""`, ws.Ask("id"))
			require.Contains(t, ws.Ask("inc"), bridge.ErrSessionMissing.Error())
		})
	}
}
