package guarantees_test

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

// A write that gives up while it waits for the one before it doesn't count as progress of that one.
func TestG12_NobodyCanStallIt_WritesThatGiveUpKeepNoStuckOneAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewApp(t, livestore.New(), nil)
		done := make(chan time.Duration, 1)
		a.Mux.Handle("/stuck", a.WebSocket(func(ctx context.Context, c *bridge.Conn) error {
			start := time.Now()
			go func() {
				_ = c.Write(ctx, websocket.MessageText, []byte("nobody takes it"))
				done <- time.Since(start)
			}()
			for time.Since(start) < time.Minute && ctx.Err() == nil {
				short, cancel := context.WithTimeout(ctx, 3*time.Second)
				time.Sleep(time.Second)
				if err := c.Write(short, websocket.MessageText, []byte("nor this")); err == nil {
					t.Error("it was written")
				}
				cancel()
			}
			return nil
		}, &bridge.ConnOptions{Heartbeat: bridge.Off}))
		webclient.NewBrowser(t, a.ServeInMemory(t)).Dial("/stuck")
		require.LessOrEqual(t, <-done, 11*time.Second, "WriteTimeout is 10 s")
	})
}
