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

// errTooManyFrames ends a connection whose client sends more of them than it may.
var errTooManyFrames = errors.New("bridge: the client sends more control frames or fragments than ConnOptions.FramesPerSecond allows")

// closeTooFast closes the connection: a client that isn't told would take what it has sent for received.
func (c *Conn) closeTooFast(reason string) {
	b := c.link.b
	b.stats.tooFast.Add(1)
	b.opts.Logger.LogAttrs(c.link.ctx, slog.LevelWarn, "connection closed: its client sends too fast", b.logSession(c.SessionID()))
	c.link.end(CodePolicy, reason)
}
