package gateway

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sessionbridge/sessionbridge/store"
)

// Destroy ends the session and returns whether there was one. It waits for a change that is being stored, never for an
// application's function.
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

// DestroyDraft is Destroy for the draft's owner, who may hold a lock, as with LoadAt. If a login has shut out the owner it is
// ErrTokenRotated, and the session stays.
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
	if err := Take(op, k.commit); err != nil {
		k.Release()
		return nil, unavailable(op, "wait for another change of the session", err)
	}
	return func() {
		<-k.commit
		k.Release()
	}, nil
}

// get returns the session's record as it is stored, past its time or not: ErrMissing when there is none.
func (g *Gateway) get(op *opContext, id string) (store.Record, error) {
	rec, err := g.read(op, id)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return rec, ErrMissing
	case err != nil:
		return rec, g.failed(op, "load the session", err)
	}
	return rec, nil
}

// destroy needs the commit lock. With a revision, another process that has stored another one meanwhile makes it store.ErrConflict.
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
			g.cfg.Ended(end) // only the reply was lost, and here it is known why the session has ended
		} else {
			g.cfg.Doubted(end.ID)
		}
		return false, unavailable(ctx, "destroy the session", err)
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

// Forget reports the end of a session that is not in the store any more, and ends one that is past its time. It returns false when the session is
// alive.
func (g *Gateway) Forget(ctx context.Context, id string, tag any) (bool, error) {
	op := g.attached(ctx)
	defer op.stop()
	if err := Take(op, g.sweeping); err != nil { // a sweep reports what it has removed itself
		return false, unavailable(op, "wait for a sweep", err)
	}
	defer func() { <-g.sweeping }()
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

// InOrder calls tell in order with the reports of the session's changes; a store that hangs can't keep it from being called. What runs an application's code is left to later.
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

// expire ends the session if it is past its time, which it looks up once more under the commit lock.
func (g *Gateway) expire(ctx context.Context, id string, later *Later) (bool, error) {
	op := g.detached(ctx)
	op.later = later
	defer op.stop()
	return g.endIf(op, id, func(rec *store.Record) (bool, any) { return rec.Expired(Now()), nil })
}

// sweepPiece is how many expired sessions are removed in one go, so that nobody waits long behind it.
const sweepPiece = 256

// ErrNoSweep says that the store can neither sweep nor list.
var ErrNoSweep = fmt.Errorf("bridge: the store can't find expired sessions, it implements neither store.Sweeper nor store.Lister: %w", errors.ErrUnsupported)

// Sweep removes the sessions that are past their time and returns how many they were.
func (g *Gateway) Sweep(ctx context.Context) (int, error) {
	switch {
	case g.sweeper != nil:
		return g.sweep(ctx)
	case g.lister != nil:
		return g.sweepList(ctx)
	}
	return 0, ErrNoSweep
}

// CanSweep reports whether Sweep can work at all.
func (g *Gateway) CanSweep() bool { return g.sweeper != nil || g.lister != nil }

func (g *Gateway) sweep(ctx context.Context) (int, error) {
	total, now := 0, Now()
	for {
		n, err := g.sweepOnce(ctx, now)
		total += n
		if err != nil || n < sweepPiece {
			return total, err
		}
		if err := ctx.Err(); err != nil {
			return total, cause(ctx)
		}
	}
}

// sweepOnce removes and reports one piece.
func (g *Gateway) sweepOnce(ctx context.Context, now time.Time) (int, error) {
	var later Later
	defer later.Run()
	if err := Take(ctx, g.sweeping); err != nil {
		return 0, err
	}
	defer func() { <-g.sweeping }()
	op := g.attached(ctx)
	defer op.stop()
	recs, err := g.sweeper.Sweep(op, now, sweepPiece)
	n := 0
	for i := range recs {
		if wrong := checkSwept(&recs[i], now); wrong != nil {
			err = errors.Join(err, wrong)
			continue
		}
		g.reportSwept(&recs[i], &later)
		n++
	}
	if err != nil {
		return n, g.failed(op, "sweep", err)
	}
	return n, nil
}

// reportSwept tells of the end after every change that was stored before it. A commit lock that stays taken that long belongs
// to a store that hangs; the session is gone all the same.
func (g *Gateway) reportSwept(rec *store.Record, later *Later) {
	g.stats.expired.Add(1)
	g.inOrder(rec.ID, later, func(later *Later) {
		g.cfg.Ended(End{ID: rec.ID, ClientID: rec.ClientID, UserID: rec.UserID, Found: true, Later: later})
	})
}

// sweepList is for stores that can only list.
func (g *Gateway) sweepList(ctx context.Context) (int, error) {
	total := 0
	for rec, err := range g.lister.List(ctx) {
		if err != nil {
			g.stats.failures.Add(1)
			return total, unavailable(ctx, "list the sessions", err)
		}
		if !rec.Expired(Now()) {
			continue
		}
		was, err := g.expire(ctx, rec.ID, nil)
		if err != nil {
			return total, err
		}
		if was {
			total++
		}
	}
	return total, nil
}

// RetirePrevious notes that the current token has been presented. After a rotation the previous
// token then serves only requests that began before the given time. After a renewal, of which
// requests under way know nothing, its grace period begins now. If storing that fails, the grace
// period alone limits the previous token.
func (g *Gateway) RetirePrevious(ctx context.Context, rec *store.Record, before time.Time) {
	op := g.detached(ctx)
	defer op.stop()
	release, err := g.exclude(op, rec.ID)
	if err != nil {
		return
	}
	defer release()
	cur := *rec
	for range MaxAttempts {
		next := cur
		if cur.Renewal == store.RenewalSent {
			next.Renewal, next.RotatedAt = store.RenewalSeen, Now()
		} else {
			next.Renewal, next.RotatedAt = store.RotationSeen, before
		}
		next.WriteID = g.writeID()
		stored, err := g.set(op, next)
		switch {
		case err == nil:
			*rec = stored
			return
		case errors.Is(err, ErrGone):
			return
		case errors.Is(err, store.ErrBusy): // another process has asked for its turn
			time.Sleep(busyPause)
			continue
		case !errors.Is(err, store.ErrConflict):
			g.cfg.Failed(ctx, "retire a session's previous token", rec.ID, err)
			return
		case stored.TokenGeneration != rec.TokenGeneration:
			return // what has come with another token is not for whoever presented this one
		case stored.Renewal != rec.Renewal: // another request has noted it
			*rec = stored
			return
		}
		cur = stored
	}
}
