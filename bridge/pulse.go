package bridge

import (
	"context"
	"net"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/clock"
)

// pongWait is how long a ping may go unanswered before the connection is cut.
const pongWait = 10 * time.Second

// beatTick is how late a beat may be: the beats of one tick share a wake-up of the clock.
const beatTick = 250 * time.Millisecond

// planBeat plans the beat of a connection for the offset on the clock, rounded up to the next tick.
func (b *Bridge) planBeat(beat *clock.Deadline, at time.Duration) {
	b.clock.Move(beat, b.clock.Time(at.Truncate(beatTick)+beatTick))
}

// startPulse begins to look after the connection: heartbeat, idleness, age.
func (c *Conn) startPulse() {
	c.net.HeardFirst(c.link.entry.OpenedAt)
	c.pulse.Do = c.beat
	c.link.b.watches.Add(&c.inbox)
	if at, ok := c.nextBeat(c.link.entry.OpenedAt); ok {
		c.link.b.planBeat(&c.pulse, at)
	}
}

// stopPulse ends it, when the connection has been taken out of the registry.
func (c *Conn) stopPulse() { c.link.b.clock.Remove(&c.pulse) }

// heardAt returns when something last came from the peer, as an offset on the clock.
func (c *Conn) heardAt() time.Duration { return c.net.Heard() }

// nextBeat returns when to look next; false when there is nothing to look for.
func (c *Conn) nextBeat(now time.Duration) (at time.Duration, ok bool) {
	sooner := func(t time.Duration) {
		if !ok || t < at {
			at, ok = t, true
		}
	}
	if d := c.opts.Heartbeat; d > 0 {
		silent := c.heardAt() + d
		if silent <= now { // the ping is on its way
			silent = now + d
		}
		sooner(silent)
	}
	if d := c.opts.IdleTimeout; d > 0 {
		sooner(c.link.activeSince() + d)
	}
	if d := c.opts.MaxAge; d > 0 {
		sooner(c.link.entry.OpenedAt + d)
	}
	return at, ok
}

// beat looks after the connection, on the clock's goroutine.
func (c *Conn) beat() {
	if c.link.ctx.Err() != nil {
		return
	}
	now := c.link.b.clock.Now()
	switch o := c.opts; {
	case c.net.Over(): // nobody has said so
		c.lose(net.ErrClosed)
		return
	case o.MaxAge > 0 && now >= c.link.entry.OpenedAt+o.MaxAge:
		c.link.end(CodeIdle, "connection has reached its age")
		return
	case o.IdleTimeout > 0 && now >= c.link.activeSince()+o.IdleTimeout:
		c.link.end(CodeIdle, "idle")
		return
	case o.Heartbeat > 0 && now-c.heardAt() >= o.Heartbeat && c.pinging.CompareAndSwap(false, true):
		c.link.b.pools.pings.Go(c.ping)
	}
	if at, ok := c.nextBeat(now); ok {
		c.link.b.planBeat(&c.pulse, at)
		if c.link.ctx.Err() != nil { // its deadline was removed meanwhile
			c.stopPulse()
		}
	}
}

// ping asks the peer for a sign of life. Pongs arrive only while somebody reads: if nobody did all the time, as more messages wait for the handler than the Bridge keeps, the
// connection isn't cut. Nor is one whose peer is in the middle of a message, where it can't answer. That there is no room for the ping is no sign of life.
func (c *Conn) ping() {
	defer c.pinging.Store(false)
	c.inbox.Watch()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	round, heard := c.net.Round(), c.heardAt()
	limit := c.clock.Add(time.Now().Add(pongWait), func() {
		if c.net.WaitsSince(round) && c.heardAt() == heard {
			c.cut()
		}
		cancel()
	})
	defer c.clock.Remove(limit)
	if c.sendPing(ctx) == nil {
		return
	}
	select {
	case <-ctx.Done():
	case <-c.link.ctx.Done():
	}
}
