package bridge

import (
	"context"
	"errors"
	"log/slog"
	"sync"
)

// missedAtOnce is how many sessions are looked at at once.
const missedAtOnce = 32

// lookAtAll looks at all that is known here, since something may have been missed. One that is asked for while another is under way comes after it.
func (c *cluster) lookAtAll() {
	if c.missed.Swap(true) {
		return
	}
	c.b.work.Go(func() {
		c.looking.Lock()
		defer c.looking.Unlock()
		c.missed.Store(false)
		sessions := c.b.clients.Len()
		c.b.logAside(func() {
			c.b.opts.Logger.Info("the store has lost sight of this node for a while: every session is looked at", slog.Int("sessions", sessions))
		})
		free := make(chan struct{}, missedAtOnce)
		var running sync.WaitGroup
		at := func(look func()) {
			free <- struct{}{}
			running.Go(func() {
				defer func() { <-free }()
				c.b.work.Protect(look)
			})
		}
		connected := c.b.links.Sessions() // first: their connections are open meanwhile
		for id := range connected {
			at(func() { c.b.recheckSession(id) })
		}
		for _, id := range c.b.links.Clients() {
			at(func() { c.lookForNewer(id) })
		}
		running.Wait()
		for _, id := range c.b.clients.Sessions() {
			if c.missed.Load() || c.b.work.Stopped() { // what follows begins with the connections again, or nobody needs it
				break
			}
			if _, done := connected[id]; !done {
				at(func() { c.b.recheckSession(id) })
			}
		}
		running.Wait()
	})
}

// lookAtClient looks whether what the map has of a client still is so: until the node held the client nobody told it.
func (c *cluster) lookAtClient(clientID string) {
	b := c.b
	known, ok := b.clients.SessionOf(clientID)
	if !ok || b.hopeless() {
		return
	}
	rec, err := b.gateway.NewestOfClient(context.Background(), clientID)
	if err == nil && rec.ID == known {
		return
	}
	b.recheckSession(known)
	if err == nil {
		err = c.follow(&rec)
	}
	if err != nil && !errors.Is(err, ErrSessionMissing) {
		b.storeFailed(context.Background(), "find a client's newest session", known, err)
	}
}

// lookForNewer looks whether the client has got another session on another node.
func (c *cluster) lookForNewer(clientID string) {
	b := c.b
	if b.hopeless() {
		return
	}
	rec, err := b.gateway.NewestOfClient(context.Background(), clientID)
	if err == nil {
		if known, _ := b.clients.SessionOf(clientID); known != rec.ID {
			err = c.follow(&rec)
		}
	}
	if err != nil && !errors.Is(err, ErrSessionMissing) {
		b.storeFailed(context.Background(), "find a client's newest session", rec.ID, err)
	}
}
