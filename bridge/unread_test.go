package bridge_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/internal/testkit"
	"github.com/sessionbridge/sessionbridge/internal/testkit/webclient"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// A client sends and goes at once, while the handler is busy with the first message: the handler
// has them all, under a context that lasts.
func TestMessagesOfAClientThatGoesAreRead(t *testing.T) {
	for name, leave := range map[string]func(ws *websocket.Conn) error{
		"with a close frame": func(ws *websocket.Conn) error { return ws.Close(websocket.StatusNormalClosure, "") },
		"without":            func(ws *websocket.Conn) error { return ws.CloseNow() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st := livestore.New()
				a := testkit.NewApp(t, st, nil)
				ended := make(chan error, 1)
				a.Mux.Handle("/slow", a.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
					for {
						if _, _, err := c.Read(ctx); err != nil {
							ended <- context.Cause(ctx)
							return err
						}
						time.Sleep(2 * time.Second)
						if _, err := bridge.WithSession(ctx, c, testkit.Increment, nil); err != nil {
							t.Error(err)
						}
					}
				}, nil))
				br := webclient.NewBrowser(t, a.ServeInMemory(t))
				br.OK("/inc")
				ws := br.Dial("/slow")
				for range 3 {
					ws.Say("one more")
				}
				go func() { _ = leave(ws.Conn) }()
				require.Error(t, <-ended, "the context is over when there is nothing more to read")
				require.Equal(t, "4", br.OK("/get"))
			})
		})
	}
}

func TestMessagesOfAClientThatGoesAreStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), nil)
		a.Mux.Handle("/messages", a.Messages(func(ctx context.Context, _ *bridge.Conn, _ bridge.Message, s *bridge.Session) error {
			time.Sleep(time.Second)
			_, err := testkit.Increment(ctx, s)
			return err
		}, nil))
		br := webclient.NewBrowser(t, a.ServeInMemory(t))
		br.OK("/inc")
		ws := br.Dial("/messages")
		for range 3 {
			ws.Say("one more")
		}
		go func() { _ = ws.Conn.Close(websocket.StatusNormalClosure, "") }()
		time.Sleep(5 * time.Second)
		require.Equal(t, "4", br.OK("/get"))
		require.Zero(t, a.Stats().Conns)
	})
}

// A handler that never reads again is not kept for ever by what nobody reads.
func TestUnreadMessagesKeepNoConnectionForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), nil)
		a.Mux.Handle("/push", a.WebSocket(func(ctx context.Context, _ *bridge.Conn) error { <-ctx.Done(); return nil }, nil))
		br := webclient.NewBrowser(t, a.ServeInMemory(t))
		br.OK("/inc")
		ws := br.Dial("/push")
		ws.Say("that nobody reads")
		go func() { _ = ws.Conn.Close(websocket.StatusNormalClosure, "") }()
		time.Sleep(12 * time.Second)
		require.Zero(t, a.Stats().Conns)
	})
}
