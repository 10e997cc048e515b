package gateway

import (
	"context"
	"errors"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/ctxlock"
	"github.com/sessionbridge/sessionbridge/store"
)

// Load returns the session's record, or ErrMissing. It ends a session past its time.
func (g *Gateway) Load(ctx context.Context, id string) (rec store.Record, err error) {
	_, err = g.LoadInto(ctx, id, &rec, nil, nil)
	return rec, err
}

// LoadAt is LoadInto that returns the record.
func (g *Gateway) LoadAt(ctx context.Context, id string, later *Later) (rec store.Record, now time.Time, err error) {
	now, err = g.LoadInto(ctx, id, &rec, nil, later)
	return rec, now, err
}

// LoadInto is Load into rec that also returns the time at which the session was alive. A caller that
// holds a lock passes a Later, and runs it after giving the lock back. The Room may be nil.
func (g *Gateway) LoadInto(
	ctx context.Context, id string, rec *store.Record, r *Room, later *Later,
) (now time.Time, err error) {
	op := g.attachedIn(r, ctx)
	defer op.stop()
	if err = g.getInto(op, id, rec); err != nil {
		return now, err
	}
	if now = Now(); rec.Expired(now) {
		if _, err := g.expire(ctx, id, later); err != nil {
			g.cfg.Failed(ctx, "remove a session past its time", id, err)
		}
		return now, ErrMissing
	}
	return now, nil
}

// LoadCachedInto is LoadInto from the memory of the store, if that holds the session at the revision
// or a later one.
func (g *Gateway) LoadCachedInto(
	ctx context.Context, id string, revision uint64, rec *store.Record, r *Room, later *Later,
) (now time.Time, err error) {
	if g.cached == nil {
		return g.LoadInto(ctx, id, rec, r, later)
	}
	op := g.attached(ctx)
	defer op.stop()
	*rec, err = g.cached.GetCached(op, id)
	if now = Now(); err != nil || CheckRecord(rec, id) != nil || rec.Revision < revision || rec.Expired(now) {
		return g.LoadInto(ctx, id, rec, r, later) // only the store decides about the end
	}
	return now, nil
}

// LoadActive loads a session in use into rec: it is touched if that is due, unless check refuses
// it. The Room may be nil.
func (g *Gateway) LoadActive(
	ctx context.Context, id string, rec *store.Record, r *Room, check func(*store.Record) error,
) error {
	return g.loadActive(ctx, id, rec, check, func() (time.Time, error) { return g.LoadInto(ctx, id, rec, r, nil) })
}

func (g *Gateway) loadActive(
	ctx context.Context, id string, rec *store.Record, check func(*store.Record) error, load func() (time.Time, error),
) error {
	k := g.Acquire(id) // before the load, so that all callers that load one Seen share one claim
	defer k.Release()
	now, err := load()
	if err == nil {
		err = check(rec)
	}
	if err == nil {
		err = g.Touch(ctx, k, rec, now)
	}
	return err
}

var errLoadPanicked = errors.New("the load has panicked")

// LoadShared is Load for handshakes: concurrent callers share loads. The record's Data is shared
// as well, and must not be changed.
func (g *Gateway) LoadShared(ctx context.Context, id string) (rec store.Record, err error) {
	_, err = g.loadShared(ctx, id, &rec, nil)
	return rec, err
}

// LoadActiveShared is LoadActive for handshakes, as LoadShared is Load.
func (g *Gateway) LoadActiveShared(
	ctx context.Context, id string, rec *store.Record, r *Room, check func(*store.Record) error,
) error {
	return g.loadActive(ctx, id, rec, check, func() (time.Time, error) { return g.loadShared(ctx, id, rec, r) })
}

func (g *Gateway) loadShared(ctx context.Context, id string, rec *store.Record, r *Room) (now time.Time, err error) {
	if ctx.Err() != nil {
		return now, ctxlock.Cause(ctx)
	}
	l := g.shared.join(id)
	if l == nil {
		defer g.shared.finish(id)
		return g.LoadInto(ctx, id, rec, r, nil)
	}
	select {
	case <-l.done:
	case <-ctx.Done():
		g.shared.leave(id, l)
		return now, ctxlock.Cause(ctx)
	case <-l.turn:
		g.run(ctx, id, l)
	}
	*rec = l.rec
	return l.now, l.err
}

// run makes the load for all callers that wait for it.
func (g *Gateway) run(ctx context.Context, id string, l *sharedLoad) {
	defer g.shared.finish(id)
	returned := false
	defer func() {
		if !returned {
			l.err = Unavailable(ctx, "load the session", errLoadPanicked)
		}
		close(l.done)
	}()
	// The other callers still wait for it if this caller's client hangs up.
	l.rec, l.now, l.err = g.LoadAt(context.WithoutCancel(ctx), id, nil)
	returned = true
}
