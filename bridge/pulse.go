package bridge

import (
	"context"
	"time"
)

// pongWait is how long a ping may go unanswered before the connection is cut.
const pongWait = 10 * time.Second

// startPulse begins to look after the connection: heartbeat, idleness, age.
func (c *Conn) startPulse() {
	c.heard.Store(int64(c.link.openedAt))
	c.pulse.conn = c
	if at, ok := c.nextBeat(c.link.openedAt); ok {
		c.link.b.wheel.plan(&c.pulse, at)
	}
}

// stopPulse ends it, when the connection has been taken out of the registry.
func (c *Conn) stopPulse() { c.link.b.wheel.remove(&c.pulse) }

// heardAt returns when something last came from the peer, by the wheel's clock.
func (c *Conn) heardAt() time.Duration { return time.Duration(c.heard.Load()) }

// nextBeat returns when to look next; false when there is nothing to look for.
func (c *Conn) nextBeat(now time.Duration) (at time.Duration, ok bool) {
	sooner := func(t time.Duration) {
		if !ok || t < at {
			at, ok = t, true
		}
	}
	if d := c.opts.Heartbeat; d > 0 {
		silent := c.heardAt() + d
		if silent <= now { // nobody reads, or the ping is on its way
			silent = now + d
		}
		sooner(silent)
	}
	if d := c.opts.IdleTimeout; d > 0 {
		sooner(c.link.activeSince() + d)
	}
	if d := c.opts.MaxAge; d > 0 {
		sooner(c.link.openedAt + d)
	}
	return at, ok
}

// beat looks after the connection, on the clock's goroutine.
func (c *Conn) beat(now time.Duration) {
	if c.link.ctx.Err() != nil {
		return
	}
	switch o := c.opts; {
	case o.MaxAge > 0 && now >= c.link.openedAt+o.MaxAge:
		c.link.end(CodeIdle, "connection has reached its age")
		return
	case o.IdleTimeout > 0 && now >= c.link.activeSince()+o.IdleTimeout:
		c.link.end(CodeIdle, "idle")
		return
	case o.Heartbeat > 0 && now-c.heardAt() >= o.Heartbeat && c.inRead.Load() && c.pinging.CompareAndSwap(false, true):
		c.link.b.work.pinging(c.ping)
	}
	if at, ok := c.nextBeat(now); ok {
		c.link.b.wheel.plan(&c.pulse, at)
		if c.link.ctx.Err() != nil { // it was taken off the wheel meanwhile
			c.stopPulse()
		}
	}
}

// ping asks the peer for a sign of life. Pongs arrive only while somebody reads: a connection on which nobody did all the time isn't cut. Nor is one whose peer is in the
// middle of a message, where it can't answer. That there is no room for the ping is no sign of life.
func (c *Conn) ping() {
	defer c.pinging.Store(false)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	reads, heard := c.reads.Load(), c.heard.Load()
	limit := c.clock.add(time.Now().Add(pongWait), func() {
		if c.inRead.Load() && c.reads.Load() == reads && c.heard.Load() == heard {
			c.cut()
		}
		cancel()
	})
	defer c.clock.remove(limit)
	if c.ws.Ping(ctx) == nil {
		c.heard.Store(int64(c.link.b.wheel.now()))
		return
	}
	select {
	case <-ctx.Done():
	case <-c.link.ctx.Done():
	}
}
