package gateway

import (
	"context"
	"errors"

	"github.com/sessionbridge/sessionbridge/store"
)

// Destroy ends the session and reports whether there was one. It waits for a change that is
// being stored, never for an application's function.
func (g *Gateway) Destroy(ctx context.Context, id, clientID string, tag any) (bool, error) {
	op := g.attached(ctx)
	defer op.stop()
	release, err := g.exclude(op, id)
	if err != nil {
		return false, err
	}
	defer release()
	return g.destroy(op, End{ID: id, ClientID: clientID, Tag: tag}, 0)
}

// DestroyDraft is Destroy for the draft's owner, which may hold a lock, as with LoadAt. If a login
// has shut out the owner, it returns ErrTokenRotated and the session stays.
func (g *Gateway) DestroyDraft(ctx context.Context, later *Later, d *Draft, tag any) (bool, error) {
	op := g.attached(ctx)
	op.later = later
	defer op.stop()
	release, err := g.exclude(op, d.base.ID)
	if err != nil {
		return false, err
	}
	defer release()
	end := End{ID: d.base.ID, ClientID: d.base.ClientID, Tag: tag}
	if d.proved == 0 {
		return g.destroy(op, end, 0)
	}
	for {
		rec, err := g.get(op, end.ID)
		switch {
		case err != nil && !errors.Is(err, ErrMissing):
			return false, err
		case err == nil && d.Cut(&rec):
			return false, ErrTokenRotated
		}
		was, err := g.destroy(op, end, rec.Revision) // 0 if it is gone: its end is reported
		if !errors.Is(err, store.ErrConflict) {      // otherwise another process has changed it since
			return was, err
		}
	}
}

// exclude takes the session's commit lock.
func (g *Gateway) exclude(op *opContext, id string) (release func(), err error) {
	k := g.Acquire(id)
	if err := k.commit.Lock(op); err != nil {
		k.Release()
		return nil, Unavailable(op, "wait for another change of the session", err)
	}
	return func() {
		k.commit.Unlock()
		k.Release()
	}, nil
}

// destroy ends the session under its commit lock. If revision isn't 0 and another process has
// stored another one, it returns store.ErrConflict.
func (g *Gateway) destroy(ctx *opContext, end End, revision uint64) (bool, error) {
	end.Later = ctx.left()
	was, err := g.remove(ctx, &end, revision)
	if errors.Is(err, store.ErrConflict) {
		g.stats.conflicts.Add(1)
		return false, err
	}
	if err != nil {
		g.stats.failures.Add(1)
		if _, look := g.store.Get(ctx, end.ID); errors.Is(look, store.ErrNotFound) {
			g.cfg.Ended(end) // only the reply was lost, and the reason of the end is known here
		} else {
			g.cfg.Doubted(end.ID)
		}
		return false, Unavailable(ctx, "destroy the session", err)
	}
	end.Found = was
	g.cfg.Ended(end)
	return was, nil
}

// remove takes the session out of the store.
func (g *Gateway) remove(ctx context.Context, end *End, revision uint64) (bool, error) {
	if g.ender != nil {
		return g.ender.End(ctx, end.ID, g.cfg.Reason(end.Tag), revision)
	}
	return g.store.Destroy(ctx, end.ID)
}

// Forget reports the end of a session that is not in the store any more, and ends one that is
// past its time. It returns false if the session is alive.
func (g *Gateway) Forget(ctx context.Context, id string, tag any) (bool, error) {
	op := g.attached(ctx)
	defer op.stop()
	if err := g.sweeping.Lock(op); err != nil { // a sweep reports what it has removed itself
		return false, Unavailable(op, "wait for a sweep", err)
	}
	defer g.sweeping.Unlock()
	release, err := g.exclude(op, id)
	if err != nil {
		return false, err
	}
	defer release()
	rec, err := g.get(op, id)
	switch {
	case errors.Is(err, ErrMissing):
		g.cfg.Ended(End{ID: id, Tag: tag, Later: op.left()})
		return true, nil
	case err != nil || !rec.Expired(Now()):
		return false, err
	}
	_, err = g.destroy(op, End{ID: id, ClientID: rec.ClientID, UserID: rec.UserID}, rec.Revision)
	if errors.Is(err, store.ErrConflict) { // another process has just used it
		return false, nil
	}
	return err == nil, err
}

// InOrder calls tell, in order with the reports of the session's changes, even if the store hangs.
// tell adds calls of an application's code to later.
func (g *Gateway) InOrder(id string, tell func(later *Later)) { g.inOrder(id, nil, tell) }

func (g *Gateway) inOrder(id string, later *Later, tell func(later *Later)) {
	op := g.detached(context.Background())
	op.later = later
	defer op.stop()
	if release, err := g.exclude(op, id); err == nil {
		defer release()
	}
	tell(op.left())
}

// expire ends the session if it is past its time, which is checked once more under the commit
// lock.
func (g *Gateway) expire(ctx context.Context, id string, later *Later) (bool, error) {
	op := g.detached(ctx)
	op.later = later
	defer op.stop()
	return g.endIf(op, id, func(rec *store.Record) (bool, any) { return rec.Expired(Now()), nil })
}

// Report calls tell, in order with the reports of changes, if the session still exists.
func (g *Gateway) Report(ctx context.Context, id string, tell func(*store.Record)) error {
	return g.ReportIf(ctx, id, func() bool { return true }, tell)
}

// ReportIf is Report, unless needed returns false by the time at which the session's commit lock
// is held.
func (g *Gateway) ReportIf(ctx context.Context, id string, needed func() bool, tell func(*store.Record)) error {
	op := g.attached(ctx)
	defer op.stop()
	release, err := g.exclude(op, id)
	if err != nil {
		return err
	}
	defer release()
	if !needed() {
		return nil
	}
	rec, err := g.get(op, id)
	if err == nil {
		tell(&rec)
	}
	return err
}

// DestroyIf ends the session if is returns true for the stored record, which can't change in
// between. A session past its time expires, and the result is false. Like Destroy it waits for a
// change that is being stored, never for an application's function. A caller that holds a lock
// passes a Later, as with LoadAt.
func (g *Gateway) DestroyIf(
	ctx context.Context, later *Later, id string, is func(*store.Record) bool, tag any,
) (bool, error) {
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

// endIf ends the session if judge returns true for the stored record, which can't change in
// between. The tag is that of the end; nil is expiry.
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
