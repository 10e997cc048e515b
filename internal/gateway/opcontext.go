package gateway

import (
	"context"
	"sync"
	"time"
)

// opContext bounds one store operation in time. It makes its channel and timer only for a store that asks for them, as one
// in memory doesn't.
type opContext struct {
	parent   context.Context
	attached bool // ends with its parent, too
	deadline time.Time

	mu     sync.Mutex
	err    error
	done   chan struct{}
	timer  *time.Timer
	detach func() bool
}

// attached returns a context for an operation that the caller may give up.
func (g *Gateway) attached(ctx context.Context) *opContext {
	return &opContext{parent: ctx, attached: true, deadline: time.Now().Add(g.cfg.StoreTimeout)}
}

// detached returns a context for an operation that goes on without the caller: a change whose storing has begun is stored even if the
// browser hangs up.
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
	if c.done != nil {
		return c.done
	}
	c.done = make(chan struct{})
	if c.err != nil {
		close(c.done)
		return c.done
	}
	c.timer = time.AfterFunc(time.Until(c.deadline), func() { c.end(context.DeadlineExceeded) })
	if c.attached {
		c.detach = context.AfterFunc(c.parent, func() { c.end(c.parent.Err()) })
	}
	return c.done
}

func (c *opContext) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil && c.done == nil {
		if c.attached {
			c.err = c.parent.Err()
		}
		if c.err == nil && time.Until(c.deadline) <= 0 {
			c.err = context.DeadlineExceeded
		}
	}
	return c.err
}

// stop frees what the context holds. The operation is over.
func (c *opContext) stop() { c.end(context.Canceled) }

func (c *opContext) end(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	c.err = err
	if c.done == nil {
		return
	}
	c.timer.Stop()
	if c.detach != nil {
		c.detach()
	}
	close(c.done)
}
