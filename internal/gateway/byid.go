package gateway

import (
	"context"
	"errors"

	"github.com/sessionbridge/sessionbridge/store"
)

// DestroyIf ends the session if is says so of it as it is stored, which can't change between the two. One past its time expires, and doesn't count.
// Like Destroy it waits for a change that is being stored, never for an application's function.
func (g *Gateway) DestroyIf(ctx context.Context, id string, is func(*store.Record) bool, tag any) (bool, error) {
	op := g.attached(ctx)
	defer op.stop()
	release, err := g.exclude(op, id)
	if err != nil {
		return false, err
	}
	defer release()
	rec, err := g.get(op, id)
	switch {
	case errors.Is(err, ErrMissing):
		return false, nil
	case err != nil || !is(&rec):
		return false, err
	case rec.Expired(Now()):
		was, err := g.destroy(op, End{ID: id, ClientID: rec.ClientID})
		if was {
			g.stats.expired.Add(1)
		}
		return false, err
	}
	return g.destroy(op, End{ID: id, ClientID: rec.ClientID, Tag: tag})
}

// TouchNow records that the session is active now, however short ago that was recorded last. ErrMissing, ErrUnavailable.
func (g *Gateway) TouchNow(ctx context.Context, id string) (store.Record, error) {
	k := g.Acquire(id)
	defer k.Release()
	rec, now, err := g.LoadAt(ctx, id)
	if err != nil {
		return rec, err
	}
	g.active(&rec, now)
	op := g.detached(ctx)
	defer op.stop()
	g.stats.touches.Add(1)
	switch err := g.touch(op, k, &rec); {
	case errors.Is(err, store.ErrNotFound):
		return rec, ErrMissing
	case err != nil:
		g.stats.failures.Add(1)
		return rec, unavailable(op, "record the session's activity", err)
	}
	return rec, nil
}
