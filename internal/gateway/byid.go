package gateway

import (
	"context"
	"errors"

	"github.com/sessionbridge/sessionbridge/store"
)

// DestroyIf ends the session if is says so of it as it is stored, which can't change between the two. One past its time expires, and doesn't count.
// Like Destroy it waits for a change that is being stored, never for an application's function.
func (g *Gateway) DestroyIf(ctx context.Context, id string, is func(*store.Record) bool, tag any) (bool, error) {
	return g.DestroyIfUnder(ctx, nil, id, is, tag)
}

// DestroyIfUnder is DestroyIf for a caller that holds a lock, as with LoadAt.
func (g *Gateway) DestroyIfUnder(ctx context.Context, later *Later, id string, is func(*store.Record) bool, tag any) (bool, error) {
	op := g.attached(ctx)
	op.later = later
	defer op.stop()
	by := tag
	was, err := g.endIf(op, id, func(rec *store.Record) (bool, any) {
		if rec.Expired(Now()) {
			by = nil
		}
		return is(rec), by
	})
	return was && by != nil, err
}

// endIf ends the session if judge says so of it as it is stored, which can't change between the two, and by whom: nil is time.
func (g *Gateway) endIf(op *opContext, id string, judge func(*store.Record) (ends bool, tag any)) (bool, error) {
	release, err := g.exclude(op, id)
	if err != nil {
		return false, err
	}
	defer release()
	for {
		rec, err := g.get(op, id)
		if err != nil {
			if errors.Is(err, ErrMissing) {
				err = nil
			}
			return false, err
		}
		ends, tag := judge(&rec)
		if !ends {
			return false, nil
		}
		was, err := g.destroy(op, End{ID: id, ClientID: rec.ClientID, UserID: rec.UserID, Tag: tag}, rec.Revision)
		if was && tag == nil {
			g.stats.expired.Add(1)
		}
		if !errors.Is(err, store.ErrConflict) { // otherwise another process has changed it since
			return was, err
		}
	}
}

// TouchNow records that the session is active now, however short ago that was recorded last. ErrMissing, ErrUnavailable.
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
