package servers_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/cmd/sessiond/internal/servers"
	"github.com/sessionbridge/sessionbridge/internal/testkit/await"
)

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	return l
}

func config(grace time.Duration, stop func(context.Context) error) servers.Config {
	return servers.Config{Grace: grace, Stop: stop, Logger: slog.New(slog.DiscardHandler)}
}

// A request that is under way at the end is answered, and Stop is called meanwhile.
func TestRequestsUnderWayAreAnswered(t *testing.T) {
	l, begun, release := listen(t), make(chan struct{}), make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- servers.Run(ctx, config(time.Minute, func(context.Context) error { close(release); return nil }),
			servers.Server{Listener: l, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				close(begun)
				<-release
				_, _ = io.WriteString(w, "done")
			})})
	}()
	body := make(chan string, 1)
	go func() {
		transport := &http.Transport{}
		defer transport.CloseIdleConnections()
		res, err := (&http.Client{Transport: transport}).Get("http://" + l.Addr().String())
		if err != nil {
			body <- err.Error()
			return
		}
		defer res.Body.Close()
		text, _ := io.ReadAll(res.Body)
		body <- string(text)
	}()
	await.Receive(t, begun)
	cancel()
	require.Equal(t, "done", await.Receive(t, body))
	require.NoError(t, await.Receive(t, ended))
}

// After the grace period what hangs is cut, which is no error: the program was told to stop.
func TestGraceIsBounded(t *testing.T) {
	l := listen(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := servers.Run(ctx, config(time.Millisecond, func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	}), servers.Server{Listener: l, Handler: http.NotFoundHandler()})
	require.NoError(t, err)
}

func TestServerThatFailsEndsAll(t *testing.T) {
	broken, healthy := listen(t), listen(t)
	require.NoError(t, broken.Close())
	err := servers.Run(t.Context(), config(time.Minute, func(context.Context) error { return nil }),
		servers.Server{Listener: broken, Handler: http.NotFoundHandler()},
		servers.Server{Listener: healthy, Handler: http.NotFoundHandler()})
	require.ErrorIs(t, err, net.ErrClosed)
	_, err = net.Dial("tcp", healthy.Addr().String())
	require.Error(t, err, "it accepts no more")
}

func TestErrorOfStopIsReturned(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	broken := errors.New("broken")
	err := servers.Run(ctx, config(time.Minute, func(context.Context) error { return broken }),
		servers.Server{Listener: listen(t), Handler: http.NotFoundHandler()})
	require.ErrorIs(t, err, broken)
}
