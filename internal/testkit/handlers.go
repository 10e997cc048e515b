package testkit

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/http"

	"github.com/coder/websocket"
	"github.com/felixge/httpsnoop"

	"github.com/sessionbridge/sessionbridge/bridge"
)

// Panicking is a function for WithSession that changes the session and panics.
func Panicking(_ context.Context, s *bridge.Session) error {
	s.Set("panicked", true)
	panic("in the application")
}

// BetweenUpgrade calls do in the middle of each upgrade: after the session was loaded, and before
// the connection is registered.
func BetweenUpgrade(h http.Handler, do func()) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(httpsnoop.Wrap(w, httpsnoop.Hooks{Hijack: func(next httpsnoop.HijackFunc) httpsnoop.HijackFunc {
			return func() (net.Conn, *bufio.ReadWriter, error) {
				do()
				return next()
			}
		}}), r)
	})
}

// Panics is an error that makes the function of a Holder panic.
type Panics struct{}

func (Panics) Error() string { return "a panic that a test wants" }

// PushOnly is a handler that writes one message, "open", and never reads.
func PushOnly(ctx context.Context, c *bridge.Conn) error {
	if err := c.Write(ctx, websocket.MessageText, []byte("open")); err != nil {
		return err
	}
	<-ctx.Done()
	return context.Cause(ctx)
}

// Set returns a function for WithSession that sets a key.
func Set(key string, v any) func(context.Context, *bridge.Session) error {
	return func(_ context.Context, s *bridge.Session) error { s.Set(key, v); return nil }
}

// ErrApp is an error of the application.
var ErrApp = errors.New("the application's own")
