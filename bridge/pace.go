package bridge

import (
	"errors"
	"log/slog"

	"golang.org/x/time/rate"
)

// errTooFast ends a connection whose client sends faster than it may.
var errTooFast = errors.New("bridge: the client sends more messages than ConnOptions.MessagesPerSecond allows")

// pace returns the limit of a connection's messages, nil for none. It has no timer: it counts when it is asked.
func (o *ConnOptions) pace() *rate.Limiter { return newPace(o.MessagesPerSecond, o.MessageBurst) }

// tooFast closes the connection: a client that isn't told would take what it has sent for received.
func (c *Conn) tooFast() error {
	b := c.link.b
	b.stats.tooFast.Add(1)
	b.opts.Logger.LogAttrs(c.link.ctx, slog.LevelWarn, "connection closed: its client sends too fast", b.logSession(c.SessionID()))
	c.link.end(CodePolicy, "too many messages")
	return errTooFast
}
