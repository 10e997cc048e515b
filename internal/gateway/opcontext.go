package gateway

import (
	"context"
	"sync"
	"time"
)

// opContext limits the time of one store operation. It makes its channel and timer only if the
// store calls Done, and reads the clock only if the store calls Done, Deadline or, again and again,
// Err: a store in memory doesn't wait.
type opContext struct {
	parent  context.Context
	timeout time.Duration
	later   *Later // for calls after the operation; nil: its caller holds no lock
	own     Later  // used if later is nil

	mu       sync.Mutex
	limit    *opLimit // nil until it is needed
	attached bool     // ends with its parent, too
	asked    bool     // Err was called
	ended    opEnd
}

// opLimit is what an opContext has that is waited for.
type opLimit struct {
	deadline time.Time
	done     chan struct{} // nil until the first call of Done, as the others
	timer    *time.Timer
	detach   func() bool
}

// opEnd is how an opContext has ended.
type opEnd uint8

const (
	opRuns opEnd = iota
	opStopped
	opTimedOut
	opAbandoned // its parent has ended
)

// attached returns a context for an operation that ends with ctx.
func (g *Gateway) attached(ctx context.Context) *opContext { return g.attachedIn(nil, ctx) }

// attachedIn is attached in the memory of a Room.
func (g *Gateway) attachedIn(r *Room, ctx context.Context) *opContext {
	op := g.detachedIn(r, ctx)
	op.attached = true
	return op
}

// detached returns a context for an operation that goes on when ctx ends: a change whose storing
// has begun is stored even if the browser hangs up.
func (g *Gateway) detached(ctx context.Context) *opContext { return g.detachedIn(nil, ctx) }

// detachedIn is detached in the memory of a Room.
func (g *Gateway) detachedIn(r *Room, ctx context.Context) *opContext {
	op := r.op()
	op.parent, op.timeout = ctx, g.cfg.StoreTimeout
	return op
}

func (c *opContext) Value(key any) any { return c.parent.Value(key) }

func (c *opContext) Deadline() (time.Time, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.limited().deadline, true
}

// limited returns the limit: the timeout counts from the first call. The lock is held.
func (c *opContext) limited() *opLimit {
	if c.limit == nil {
		c.limit = &opLimit{deadline: time.Now().Add(c.timeout)}
	}
	return c.limit
}

func (c *opContext) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.limited()
	if l.done != nil {
		return l.done
	}
	l.done = make(chan struct{})
	if c.ended != opRuns {
		close(l.done)
		return l.done
	}
	l.timer = time.AfterFunc(time.Until(l.deadline), func() { c.end(opTimedOut) })
	if c.attached {
		l.detach = context.AfterFunc(c.parent, func() { c.end(opAbandoned) })
	}
	return l.done
}

func (c *opContext) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended == opRuns && (c.limit == nil || c.limit.done == nil) {
		switch {
		case c.attached && c.parent.Err() != nil:
			c.ended = opAbandoned
		case c.asked && time.Until(c.limited().deadline) <= 0:
			c.ended = opTimedOut
		}
		c.asked = true
	}
	switch c.ended {
	case opStopped:
		return context.Canceled
	case opTimedOut:
		return context.DeadlineExceeded
	case opAbandoned:
		return c.parent.Err()
	case opRuns:
	}
	return nil
}

// left returns the Later for calls after the operation.
func (c *opContext) left() *Later {
	if c.later != nil {
		return c.later
	}
	return &c.own
}

// stop frees the context's resources and, without a caller's Later, makes the calls in its own. The
// operation is over and has given back its locks.
func (c *opContext) stop() {
	c.end(opStopped)
	c.own.Run()
}

func (c *opContext) end(how opEnd) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended != opRuns {
		return
	}
	c.ended = how
	l := c.limit
	if l == nil || l.done == nil {
		return
	}
	l.timer.Stop()
	if l.detach != nil {
		l.detach()
	}
	close(l.done)
}
