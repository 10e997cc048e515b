package security_test

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

// paced opens a socket that echoes, with limits.
func paced(t *testing.T, a *testkit.App, opts *bridge.ConnOptions) *webclient.Socket {
	t.Helper()
	a.Mux.Handle("/echo", a.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
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
	br := webclient.NewBrowser(t, a.ServeInMemory(t))
	br.OK("/inc")
	return br.Dial("/echo")
}

func TestS13_AClientThatSendsTooFastIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), nil)
		ws := paced(t, a, &bridge.ConnOptions{MessagesPerSecond: 2, MessageBurst: 5})
		for range 5 {
			require.Equal(t, "burst", ws.Ask("burst"))
		}
		for range 20 {
			time.Sleep(500 * time.Millisecond)
			require.Equal(t, "in time", ws.Ask("in time"))
		}
		ws.Say("too fast")
		_, _, err := ws.Conn.Read(t.Context())
		var closed websocket.CloseError
		require.ErrorAs(t, err, &closed, "it isn't handed to the application")
		require.EqualValues(t, bridge.CodePolicy, closed.Code)
		require.Equal(t, "too many messages", closed.Reason)
		require.EqualValues(t, 1, a.Stats().TooFast)
	})
}

func TestS13_TheBurstIsASecondsWorthByDefault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ws := paced(t, testkit.NewApp(t, livestore.New(), nil), &bridge.ConnOptions{MessagesPerSecond: 2.5})
		for range 3 {
			require.Equal(t, "x", ws.Ask("x"))
		}
		ws.Say("x")
		require.Equal(t, bridge.CodePolicy, ws.ClosedEventually())
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
				ws := paced(t, testkit.NewApp(t, livestore.New(), nil), opts)
				for range 1000 {
					require.Equal(t, "x", ws.Ask("x"))
				}
			})
		})
	}
}
