package gateway

import (
	"context"
	"errors"
	"time"

	"github.com/sessionbridge/sessionbridge/store"
)

// Touch records that the session is active at now, if the recorded activity is older than the touch
// interval: one write per session and interval. A failure of the store is only reported, unless the
// session is gone: ErrMissing.
func (g *Gateway) Touch(ctx context.Context, k *Lock, rec *store.Record, now time.Time) error {
	interval := g.cfg.TouchInterval
	if rec.Idle > 0 {
		interval = g.touchInterval(rec.Idle)
	}
	if now.Sub(rec.Seen) < interval || !k.claimTouch(now, interval) {
		return nil
	}
	next := *rec
	g.active(&next, now)
	op := g.detached(ctx)
	defer op.stop()
	err := g.touch(op, k, &next)
	switch {
	case err == nil:
		rec.Seen, rec.Expires, rec.Revision = next.Seen, next.Expires, next.Revision
	case errors.Is(err, store.ErrNotFound):
		return ErrMissing
	default:
		k.touched.Store(0)
		g.stats.failures.Add(1)
		g.cfg.Failed(ctx, "record a session's activity", rec.ID, err)
	}
	return nil
}

// touchInterval returns the configured interval, or less for a session with a short idle timeout.
func (g *Gateway) touchInterval(idle time.Duration) time.Duration {
	return min(g.cfg.TouchInterval, idle/10)
}

// TouchNow records that the session is active now, even within the touch interval. It returns
// ErrMissing or ErrUnavailable if that fails.
func (g *Gateway) TouchNow(ctx context.Context, id string) (store.Record, error) {
	k := g.Acquire(id)
	defer k.Release()
	rec, now, err := g.LoadAt(ctx, id, nil)
	if err != nil {
		return rec, err
	}
	g.active(&rec, now)
	op := g.detached(ctx)
	defer op.stop()
	switch err := g.touch(op, k, &rec); {
	case errors.Is(err, store.ErrNotFound):
		return rec, ErrMissing
	case err != nil:
		g.stats.failures.Add(1)
		return rec, Unavailable(op, "record the session's activity", err)
	}
	return rec, nil
}

// touch stores and counts the touch.
func (g *Gateway) touch(ctx context.Context, k *Lock, next *store.Record) error {
	if g.toucher != nil {
		err := g.toucher.Touch(ctx, next.ID, next.Seen)
		if err == nil {
			g.stats.touches.Add(1)
		}
		return err
	}
	// Under the commit lock, so that it can't undo a decision of expire.
	if err := k.commit.Lock(ctx); err != nil {
		return err
	}
	defer k.commit.Unlock()
	next.WriteID = g.writeID()
	rev, err := g.write(ctx, next)
	if errors.Is(err, store.ErrConflict) {
		return nil // another change has moved Seen
	}
	if err == nil {
		g.stats.touches.Add(1)
		next.Revision = rev
	}
	return err
}
