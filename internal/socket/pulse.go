package socket

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/heartbeat"
)

// Start begins to watch the connection's end, silence, idleness and age.
func (c *Conn) Start() {
	opened, _ := c.owner.Times()
	c.net.HeardFirst(opened)
	c.pulse.Do = c.beat
	c.rt.watches.Add(&c.inbox)
	c.planBeat(opened)
}

// planBeat plans the next beat, if there is anything to check.
func (c *Conn) planBeat(now time.Duration) {
	opened, active := c.owner.Times()
	var at time.Duration
	sooner := func(limit, since time.Duration) {
		if limit > 0 && (at == 0 || since+limit < at) {
			at = since + limit
		}
	}
	if heard := c.net.Heard(); now-heard < c.Heartbeat {
		sooner(c.Heartbeat, heard)
	} else { // the ping is on its way
		sooner(c.Heartbeat, now)
	}
	sooner(c.IdleTimeout, active)
	if !c.heard.Load() && !c.inbox.Foreign() {
		sooner(c.FirstMessage, opened)
	}
	sooner(c.MaxAge, opened)
	if at != 0 {
		heartbeat.Plan(c.rt.clock, &c.pulse, at)
	}
}

// beat checks the connection, on the clock's goroutine.
func (c *Conn) beat() {
	if c.owner.Context().Err() != nil {
		return
	}
	now := c.rt.clock.Now()
	opened, active := c.owner.Times()
	switch {
	case c.net.Over(): // and the application that reads past the Conn hasn't reported it
		c.lose(net.ErrClosed)
		return
	case c.MaxAge > 0 && now-opened >= c.MaxAge:
		c.owner.Refuse(TooOld)
		return
	case c.FirstMessage > 0 && now-opened >= c.FirstMessage && !c.heard.Load() && !c.inbox.Foreign():
		c.owner.Refuse(Silent)
		return
	case c.IdleTimeout > 0 && now-active >= c.IdleTimeout:
		c.owner.Refuse(Idle)
		return
	case c.Heartbeat > 0 && now-c.net.Heard() >= c.Heartbeat && c.pinging.CompareAndSwap(false, true):
		c.rt.pings.Go(c.checkAlive)
	}
	c.planBeat(now)
	if c.owner.Context().Err() != nil { // its deadline was removed meanwhile
		c.rt.clock.Remove(&c.pulse)
	}
}

// checkAlive sends a ping, and cuts the connection if the client sends nothing. It isn't cut if it
// was not read all the time, because the inbox is full: then no pong can arrive. Nor is it cut if
// the client is in the middle of a message, where it can't answer. If there is no room to send the
// ping, it is cut.
func (c *Conn) checkAlive() {
	defer c.pinging.Store(false)
	c.inbox.Watch()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	round, heard := c.net.Round(), c.net.Heard()
	limit := c.rt.clock.Add(time.Now().Add(heartbeat.Wait), func() {
		if c.net.WaitsSince(round) && c.net.Heard() == heard {
			c.Cut()
		}
		cancel()
	})
	defer c.rt.clock.Remove(limit)
	if c.ping(ctx) == nil {
		return
	}
	select {
	case <-ctx.Done():
	case <-c.owner.Context().Done():
	}
}

// Ping sends a ping and waits for its pong, for which the connection is read.
func (c *Conn) Ping(ctx context.Context) error {
	c.inbox.Watch()
	plain, release := c.plain(ctx)
	defer release()
	return c.ping(plain)
}

// ping ends the context of a connection on which the ping could not be sent.
func (c *Conn) ping(ctx context.Context) error {
	c.net.Expect()
	err := c.ws.Ping(ctx)
	if err != nil && (c.net.Over() || !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded)) {
		c.lose(err)
	}
	return err
}
