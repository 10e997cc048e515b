package bridge_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// snapshot returns a session as it is stored now.
func snapshot(t testing.TB, a *app, id string) *bridge.Session {
	t.Helper()
	s, err := a.GetByID(t.Context(), id)
	require.NoError(t, err)
	return s
}

// flood writes until it is cut off, and says how long that took.
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

// set returns a function for WithSession that sets one key.
func set(key string, v any) func(context.Context, *bridge.Session) error {
	return func(_ context.Context, s *bridge.Session) error { s.Set(key, v); return nil }
}

// errOfFn is how a function of the application fails, errStore how a store does.
var (
	errOfFn  = errors.New("the application's own")
	errStore = errors.New("disk full")
)

// values returns all values of a session.
func values(s *bridge.Session) map[string]any {
	all := make(map[string]any)
	for key := range s.Keys() {
		all[key], _ = s.Get(key)
	}
	return all
}
