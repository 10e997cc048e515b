package bridge_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// paced opens a socket that echoes, with limits.
func paced(t *testing.T, a *app, opts *bridge.ConnOptions) *socket {
	t.Helper()
	a.mux.Handle("/echo", a.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
		for {
			kind, data, err := c.Read(ctx)
			if err == nil {
				err = c.Write(ctx, kind, data)
			}
			if err != nil {
				return err
			}
		}
	}, opts))
	br := newBrowser(t, a.serveInMemory(t))
	br.ok("/inc")
	return br.dial("/echo")
}

func TestS13_AClientThatSendsTooFastIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := makeApp(t, livestore.New(), nil)
		ws := paced(t, a, &bridge.ConnOptions{MessagesPerSecond: 2, MessageBurst: 5})
		for range 5 {
			require.Equal(t, "burst", ws.ask("burst"))
		}
		for range 20 {
			time.Sleep(500 * time.Millisecond)
			require.Equal(t, "in time", ws.ask("in time"))
		}
		ws.say("too fast")
		_, _, err := ws.ws.Read(t.Context())
		var closed websocket.CloseError
		require.ErrorAs(t, err, &closed, "it isn't handed to the application")
		require.EqualValues(t, bridge.CodePolicy, closed.Code)
		require.Equal(t, "too many messages", closed.Reason)
		require.EqualValues(t, 1, a.Stats().TooFast)
	})
}

func TestS13_TheBurstIsASecondsWorthByDefault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ws := paced(t, makeApp(t, livestore.New(), nil), &bridge.ConnOptions{MessagesPerSecond: 2.5})
		for range 3 {
			require.Equal(t, "x", ws.ask("x"))
		}
		ws.say("x")
		require.Equal(t, bridge.CodePolicy, ws.closedEventually())
	})
}

func TestS13_MessagesAreNotLimitedUnlessAskedFor(t *testing.T) {
	for name, opts := range map[string]*bridge.ConnOptions{
		"default": nil,
		"off":     {MessagesPerSecond: bridge.Off},
		"burst":   {MessagesPerSecond: 1, MessageBurst: bridge.Off},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ws := paced(t, makeApp(t, livestore.New(), nil), opts)
				for range 1000 {
					require.Equal(t, "x", ws.ask("x"))
				}
			})
		})
	}
}
