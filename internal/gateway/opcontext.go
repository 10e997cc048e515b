package gateway

import (
	"context"
	"sync"
	"time"
)

// opContext limits the time of one store operation. It makes its channel and timer only if the
// store calls Done; a store in memory doesn't. Nor does that cost a look at the clock for its first
// call of Err, at the beginning of the operation.
type opContext struct {
	parent   context.Context
	deadline time.Time
	later    *Later // for calls after the operation; nil: its caller holds no lock
	own      Later  // used if later is nil

	mu       sync.Mutex
	watch    *opWatch // nil until the first call of Done
	attached bool     // ends with its parent, too
	asked    bool     // Err or Deadline was called
	ended    opEnd
}

// opWatch has the channel and timer of an opContext.
type opWatch struct {
	done   chan struct{}
	timer  *time.Timer
	detach func() bool
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
	op := g.detachedIn(r, ctx, time.Now())
	op.attached = true
	return op
}

// detached returns a context for an operation that goes on when ctx ends: a change whose storing
// has begun is stored even if the browser hangs up.
func (g *Gateway) detached(ctx context.Context) *opContext {
	return g.detachedIn(nil, ctx, time.Now())
}

// detachedIn is detached at now, in the memory of a Room.
func (g *Gateway) detachedIn(r *Room, ctx context.Context, now time.Time) *opContext {
	op := r.op()
	op.parent, op.deadline = ctx, now.Add(g.cfg.StoreTimeout)
	return op
}

func (c *opContext) Value(key any) any { return c.parent.Value(key) }

func (c *opContext) Deadline() (time.Time, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = true
	return c.deadline, true
}

func (c *opContext) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.watch != nil {
		return c.watch.done
	}
	c.watch = &opWatch{done: make(chan struct{})}
	if c.ended != opRuns {
		close(c.watch.done)
		return c.watch.done
	}
	c.watch.timer = time.AfterFunc(time.Until(c.deadline), func() { c.end(opTimedOut) })
	if c.attached {
		c.watch.detach = context.AfterFunc(c.parent, func() { c.end(opAbandoned) })
	}
	return c.watch.done
}

func (c *opContext) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended == opRuns && c.watch == nil {
		switch {
		case c.attached && c.parent.Err() != nil:
			c.ended = opAbandoned
		case c.asked && time.Until(c.deadline) <= 0:
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
	if c.watch == nil {
		return
	}
	c.watch.timer.Stop()
	if c.watch.detach != nil {
		c.watch.detach()
	}
	close(c.watch.done)
}
