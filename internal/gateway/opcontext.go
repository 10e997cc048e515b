package gateway

import (
	"context"
	"sync"
	"time"
)

// opContext bounds one store operation in time. It makes its channel and timer only for a store
// that asks for them, as one in memory doesn't.
type opContext struct {
	parent   context.Context
	deadline time.Time
	later    *Later // what the operation leaves to be done later; nil: its caller holds no lock
	own      Later  // then it is here

	mu       sync.Mutex
	watch    *opWatch // nil until somebody asks for Done
	attached bool     // ends with its parent, too
	ended    opEnd
}

// opWatch is what an opContext needs to tell of its end.
type opWatch struct {
	done   chan struct{}
	timer  *time.Timer
	detach func() bool
}

// opEnd says how an opContext has ended.
type opEnd uint8

const (
	opRuns opEnd = iota
	opStopped
	opTimedOut
	opAbandoned // by its parent
)

// attached returns a context for an operation that the caller may give up.
func (g *Gateway) attached(ctx context.Context) *opContext {
	return &opContext{parent: ctx, attached: true, deadline: time.Now().Add(g.cfg.StoreTimeout)}
}

// detached returns a context for an operation that goes on without the caller: a change whose
// storing has begun is stored even if the browser hangs up.
func (g *Gateway) detached(ctx context.Context) *opContext {
	return g.detachedAt(ctx, time.Now())
}

func (g *Gateway) detachedAt(ctx context.Context, now time.Time) *opContext {
	return &opContext{parent: ctx, deadline: now.Add(g.cfg.StoreTimeout)}
}

func (c *opContext) Deadline() (time.Time, bool) { return c.deadline, true }
func (c *opContext) Value(key any) any           { return c.parent.Value(key) }

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
		case time.Until(c.deadline) <= 0:
			c.ended = opTimedOut
		}
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

// left is where what the operation leaves to be done later goes.
func (c *opContext) left() *Later {
	if c.later != nil {
		return c.later
	}
	return &c.own
}

// stop frees what the context holds. The operation is over, and has given back the locks that it
// has taken.
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
