package gateway

import (
	"context"
	"fmt"
	"time"
)

// alone is the time in which a function of WithSession has the session to itself in this process, because it has lost to merges before. Merges wait for its end, for
// Config.StoreTimeout at most: one that hangs keeps no merge waiting for longer than that, and after that time none at all. What ends the session never waits.
type alone struct {
	over  chan struct{} // closed at its end
	until time.Time     // merges don't wait longer
}

// keepOut has merges wait from now on, and returns when those that have begun are done. The outer lock is held. With an error the caller has to let them in as well.
func (g *Gateway) keepOut(ctx context.Context, k *Lock) (*alone, error) {
	a := &alone{over: make(chan struct{}), until: time.Now().Add(g.cfg.StoreTimeout)}
	k.alone.Store(a)
	op := g.attached(ctx)
	defer op.stop()
	if err := TakeFirst(op, k.merge); err == nil {
		<-k.merge
	} else if ctx.Err() != nil {
		return a, fmt.Errorf("bridge: wait for another change of the session: %w", cause(ctx))
	} // otherwise the store hangs: the next load says so
	return a, nil
}

// letIn ends the time that keepOut has begun.
func (k *Lock) letIn(a *alone) {
	k.alone.Store(nil)
	close(a.over)
}

// beginMerge takes the merge lock, when no function of WithSession has the session to itself, or has had it for too long. A wait for that ends with ctx; one for other merges
// is short, and doesn't: what has begun is stored even if the browser hangs up.
func (g *Gateway) beginMerge(ctx context.Context, k *Lock) error {
	var until time.Time // this merge doesn't wait longer, for however many functions
	for {
		op := g.detached(ctx)
		err := Take(op, k.merge)
		op.stop()
		if err != nil {
			return unavailable(op, "wait for another change of the session", err)
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
		<-k.merge
		if err := a.wait(ctx, left); err != nil {
			return err
		}
	}
}

// wait returns when the time is over, or after d.
func (a *alone) wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-a.over:
	case <-timer.C:
	case <-ctx.Done():
		return fmt.Errorf("bridge: wait for a function of WithSession: %w", cause(ctx))
	}
	return nil
}
