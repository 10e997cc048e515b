package bridge

import (
	"errors"
	"log/slog"
	"time"

	"golang.org/x/time/rate"

	"github.com/sessionbridge/sessionbridge/internal/wire"
)

// errTooFast ends a connection whose client sends faster than it may.
var errTooFast = errors.New("bridge: the client sends more messages than ConnOptions.MessagesPerSecond allows")

// pace returns the limit of a connection's messages, nil for none. It has no timer: it counts when it is asked.
func (o *ConnOptions) pace() *rate.Limiter { return newPace(o.MessagesPerSecond, o.MessageBurst) }

// The defaults of ConnOptions.FramesPerSecond, and its burst in seconds.
const (
	leastFrames = 10
	mostFrames  = 100
	frameBurst  = 5
)

// wire returns how the network connections of a handler behave.
func (o *ConnOptions) wire(epoch time.Time) *wire.Config {
	c := &wire.Config{Epoch: epoch}
	if o.FramesPerSecond > 0 {
		c.FramesPerSecond, c.Burst = o.FramesPerSecond, max(1, frameBurst*o.FramesPerSecond)
	}
	return c
}

// closeTooFast closes the connection: a client that isn't told would take what it has sent for received.
func (c *Conn) closeTooFast(reason string) {
	b := c.link.b
	b.stats.tooFast.Add(1)
	b.opts.Logger.LogAttrs(c.link.ctx, slog.LevelWarn, "connection closed: its client sends too fast", b.logSession(c.SessionID()))
	c.link.end(CodePolicy, reason)
}
