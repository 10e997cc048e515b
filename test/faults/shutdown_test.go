package faults_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

func TestShutdownClosesEverythingAndWaits(t *testing.T) {
	a := testkit.NewApp(t, livestore.New(), nil)
	begun, ended := make(chan struct{}), make(chan error, 1)
	a.Mux.Handle("/wait", a.WebSocket(func(ctx context.Context, _ *bridge.Conn) error {
		close(begun)
		<-ctx.Done()
		ended <- context.Cause(ctx)
		return nil
	}, nil))
	br := webclient.NewBrowser(t, a.Serve(t))
	br.OK("/inc")
	reading, waiting := br.Dial("/ws"), br.Dial("/wait")
	codes := []<-chan int{reading.WhenClosed(), waiting.WhenClosed()}
	await.Receive(t, begun)
	require.NoError(t, a.Shutdown(t.Context()))
	select {
	case cause := <-ended:
		require.ErrorIs(t, cause, bridge.ErrShutdown)
	default:
		require.Fail(t, "Shutdown has returned before the handler")
	}
	for _, code := range codes {
		require.Equal(t, bridge.CodeShutdown, await.Receive(t, code))
	}
	require.Zero(t, a.Stats().Conns)
	require.NoError(t, a.Shutdown(t.Context()), "again")
	_, res, err := br.TryDial("/ws", nil)
	require.Error(t, err)
	require.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
	require.Equal(t, "2", br.OK("/inc"), "requests are served on")
	require.False(t, a.StartAutoCleanup(time.Hour))
}

// In a bubble a goroutine that is left behind fails the test.
func TestShutdownLeavesNoGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, err := bridge.New(livestore.New(), nil)
		require.NoError(t, err)
		b.OnSessionSet(func(bridge.SessionSet) {})
		b.OnCleanup(func(bridge.Cleanup) {})
		webclient.Pocket{}.Get(t, b.Handler(testkit.NewMux(b)), "/inc")
		require.NoError(t, b.Shutdown(t.Context()))
	})
}

func TestShutdownGivesUpOnAHungHandlerWhenItsContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, err := bridge.New(livestore.New(), nil)
		require.NoError(t, err)
		release := make(chan struct{})
		h := b.WebSocket(func(context.Context, *bridge.Conn) error { <-release; return nil }, nil)
		ws := webclient.NewBrowser(t, webclient.ServeInMemory(t, h)).Dial("/")
		code := ws.WhenClosed()
		synctest.Wait() // the handler has begun
		errEnough := errors.New("enough")
		ctx, cancel := context.WithTimeoutCause(t.Context(), 10*time.Second, errEnough)
		defer cancel()
		begin := time.Now()
		require.ErrorIs(t, b.Shutdown(ctx), errEnough)
		require.Equal(t, 10*time.Second, time.Since(begin))
		require.Equal(t, bridge.CodeShutdown, <-code, "its peer was told in time")
		close(release)
	})
}

func TestShutdownGivesUpOnAHungCallbackWhenItsContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, err := bridge.New(livestore.New(), nil)
		require.NoError(t, err)
		release := make(chan struct{})
		b.OnSessionSet(func(bridge.SessionSet) { <-release })
		webclient.Pocket{}.Get(t, b.Handler(testkit.NewMux(b)), "/inc")
		errEnough := errors.New("enough")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errEnough)
		defer cancel()
		require.ErrorIs(t, b.Shutdown(ctx), errEnough)
		close(release)
	})
}
