package guarantees_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// TestG12_SecondShutdownWaitsNoLongerThanItsContext, and returns what the first one has returned
// once that is done.
func TestG12_SecondShutdownWaitsNoLongerThanItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, err := bridge.New(livestore.New(), nil)
		require.NoError(t, err)
		leave := make(chan struct{})
		ws := webclient.NewBrowser(t, webclient.ServeInMemory(t, b.WebSocket(func(context.Context, *bridge.Conn) error {
			<-leave // it doesn't listen
			return nil
		}, nil))).Dial("/").Listen()
		defer func() { _ = ws.Conn.CloseNow() }()
		synctest.Wait()
		first := make(chan error, 1)
		go func() { first <- b.Shutdown(context.WithoutCancel(t.Context())) }()
		synctest.Wait()

		impatient := errors.New("the supervisor is impatient")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, impatient)
		defer cancel()
		begun := time.Now()
		require.ErrorIs(t, b.Shutdown(ctx), impatient)
		require.Equal(t, time.Second, time.Since(begun))

		close(leave)
		require.NoError(t, await.Receive(t, first))
		require.NoError(t, b.Shutdown(ctx), "it is done: no wait, no error")
	})
}

func TestSecondShutdownReturnsTheResultOfTheFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, err := bridge.New(livestore.New(), nil)
		require.NoError(t, err)
		leave := make(chan struct{})
		ws := webclient.NewBrowser(t, webclient.ServeInMemory(t, b.WebSocket(func(context.Context, *bridge.Conn) error {
			<-leave
			return nil
		}, nil))).Dial("/").Listen()
		defer func() { _ = ws.Conn.CloseNow() }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, b.Shutdown(ctx), context.DeadlineExceeded)
		require.ErrorIs(t, b.Shutdown(context.WithoutCancel(t.Context())), context.DeadlineExceeded)
		close(leave)
		synctest.Wait()
	})
}
