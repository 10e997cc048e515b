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

// A pong can't interrupt a frame: a client that uploads a large frame over a slow line can't answer
// pings, but is alive.
func TestHeartbeatLeavesAClientAloneThatIsSendingALongMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), nil)
		got := make(chan int, 1)
		a.Mux.Handle("/upload", a.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
			_, data, err := c.Read(ctx)
			got <- len(data)
			return err
		}, nil))
		conn := webclient.Handshake(t, a.ServeInMemory(t), "/upload")
		go func() { // pings, which it can't answer now
			for p := make([]byte, 64); ; {
				if _, err := conn.Read(p); err != nil {
					return
				}
			}
		}()
		const size = 60_000
		_, err := conn.Write([]byte{0x82, 0xfe, size >> 8, size & 0xff, 0, 0, 0, 0})
		require.NoError(t, err)
		for range 60 { // seconds
			time.Sleep(time.Second)
			_, err := conn.Write(make([]byte, size/60))
			require.NoError(t, err)
		}
		require.Equal(t, size, <-got)
	})
}

// A peer that has gone is cut even if there is no room for the ping.
func TestS13_HeartbeatCutsAPeerThatIsGoneWhoseBufferIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), nil)
		ended := testkit.Record[bridge.ConnClose](t, a.Bridge)
		a.Mux.Handle("/full", a.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
			go func() { _ = c.Write(ctx, websocket.MessageText, []byte("nobody takes it")) }()
			_, _, err := c.Read(ctx)
			return err
		}, &bridge.ConnOptions{WriteTimeout: bridge.Off}))
		start := time.Now()
		webclient.NewBrowser(t, a.ServeInMemory(t)).Dial("/full")
		time.Sleep(42 * time.Second)
		synctest.Wait()
		require.Empty(t, testkit.Conns(t, a.Bridge, bridge.ConnFilter{}), "30 s of silence, 10 s for the ping")
		require.Equal(t, -1, ended.Next().Code)
		require.LessOrEqual(t, time.Since(start), 42*time.Second)
	})
}
