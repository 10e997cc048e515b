package guarantees_test

import (
	"context"
	"time"

	"github.com/coder/websocket"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// flood writes until it is cut off, and reports how long that took.
func flood(took chan<- time.Duration) func(context.Context, *bridge.Conn) error {
	return func(_ context.Context, c *bridge.Conn) error {
		start := time.Now()
		for {
			if err := c.Write(context.Background(), websocket.MessageText, make([]byte, 64<<10)); err != nil {
				took <- time.Since(start)
				return err
			}
		}
	}
}

// readOn is the handler of a connection that only listens.
func readOn(ctx context.Context, c *bridge.Conn) error {
	for {
		if _, _, err := c.Read(ctx); err != nil {
			return err
		}
	}
}
