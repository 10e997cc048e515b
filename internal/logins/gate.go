package logins

import (
	"context"
	"slices"
	"sync"

	"github.com/sessionbridge/sessionbridge/internal/ctxlock"
	"github.com/sessionbridge/sessionbridge/internal/gateway"
)

// Gate knows the logins and the new sessions that are on their way to the store, so that a bulk
// destroy misses none. It is a gateway.Gate. It is safe for concurrent use.
type Gate struct {
	mu       sync.Mutex
	turn     uint64 // counts the changes and the bulk destroys
	changes  map[*change]struct{}
	destroys []*bulkDestroy
}

// change is a login or a new session between Enter and Leave.
type change struct {
	gateway.Entrance
	gate   *Gate
	turn   uint64
	helps  *bulkDestroy  // which the session is destroyed for, instead of being changed; nil: none
	stored chan struct{} // closed when the store has answered; nil: no bulk destroy waits for that
}

// NewGate returns a Gate that nothing has entered.
func NewGate() *Gate { return &Gate{changes: make(map[*change]struct{})} }

// Enter implements gateway.Gate.
func (g *Gate) Enter(e gateway.Entrance) (gateway.Pass, any) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.turn++
	c := &change{Entrance: e, gate: g, turn: g.turn}
	g.changes[c] = struct{}{}
	if !e.IsNew {
		for _, d := range g.destroys {
			if d.includes(e.ID, e.Was) {
				c.helps = d
				return c, d.tag
			}
		}
	}
	return c, nil
}

// Leave implements gateway.Pass.
func (c *change) Leave(done bool) {
	g := c.gate
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.changes, c)
	if c.stored != nil {
		close(c.stored)
	}
	switch {
	case !done:
	case c.helps != nil:
		c.helps.destroyed++
	default:
		for _, d := range g.destroys {
			if d.turn < c.turn && d.gains(c) {
				d.spared[c.ID] = true
			}
		}
	}
}

// begin makes the bulk destroy take effect, and returns the changes that come before it.
func (g *Gate) begin(d *bulkDestroy) (before []*change) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.turn++
	d.turn = g.turn
	g.destroys = append(g.destroys, d)
	return g.await(func(c *change) bool { return c.helps == nil && d.gains(c) })
}

// finish ends the effect of the bulk destroy, and returns the changes that still help it.
func (g *Gate) finish(d *bulkDestroy) (helpers []*change) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.destroys = slices.DeleteFunc(g.destroys, func(other *bulkDestroy) bool { return other == d })
	return g.await(func(c *change) bool { return c.helps == d })
}

// await returns the changes that are accepted, and prepares them for wait. The lock is held.
func (g *Gate) await(accept func(*change) bool) (some []*change) {
	for c := range g.changes {
		if accept(c) {
			if c.stored == nil {
				c.stored = make(chan struct{})
			}
			some = append(some, c)
		}
	}
	return some
}

// wait returns when the store has answered all of the changes, or ctx ends.
func wait(ctx context.Context, changes []*change) error {
	for _, c := range changes {
		select {
		case <-c.stored:
		case <-ctx.Done():
			return ctxlock.Cause(ctx)
		}
	}
	return nil
}
