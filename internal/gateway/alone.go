package gateway

import (
	"context"
	"fmt"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/ctxlock"
)

// keepOut makes merges wait from now on, and returns when those that have begun are done. The
// caller holds the outer lock, and calls letIn also after an error.
func (g *Gateway) keepOut(ctx context.Context, k *Lock) (*alone, error) {
	a := &alone{over: make(chan struct{}), until: time.Now().Add(g.cfg.StoreTimeout)}
	k.alone.Store(a)
	op := g.attached(ctx)
	defer op.stop()
	if err := k.merge.LockOrWait(op); err == nil {
		k.merge.Unlock()
	} else if ctx.Err() != nil {
		return a, fmt.Errorf("bridge: wait for another change of the session: %w", ctxlock.Cause(ctx))
	} // otherwise the store hangs: the next load returns the error
	return a, nil
}

// beginMerge takes the merge lock. It waits while a function of WithSession has exclusive access,
// for Config.StoreTimeout at most, or until ctx ends. The wait for other merges is short and
// doesn't end with ctx: a change that has begun is stored even if the browser hangs up.
func (g *Gateway) beginMerge(ctx context.Context, k *Lock) error {
	var until time.Time // this merge doesn't wait longer, even for several functions
	for {
		if !k.merge.TryLock() {
			op := g.detached(ctx)
			err := k.merge.Lock(op)
			op.stop()
			if err != nil {
				return Unavailable(op, "wait for another change of the session", err)
			}
		}
		a := k.alone.Load()
		if a == nil {
			return nil
		}
		now := time.Now()
		if until.IsZero() {
			until = now.Add(g.cfg.StoreTimeout)
		}
		left := min(a.until.Sub(now), until.Sub(now))
		if left <= 0 {
			return nil
		}
		k.merge.Unlock()
		if err := a.wait(ctx, left); err != nil {
			return err
		}
	}
}
