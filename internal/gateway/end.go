package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/sessionbridge/sessionbridge/store"
)

// Destroy ends the session and returns whether there was one. It waits for a change that is being stored, never for an
// application's function.
func (g *Gateway) Destroy(ctx context.Context, id, clientID string, tag any) (bool, error) {
	k := g.Acquire(id)
	defer k.Release()
	op := g.attached(ctx)
	defer op.stop()
	if err := take(op, k.commit); err != nil {
		return false, unavailable(ctx, "wait for another change of the session", err)
	}
	defer func() { <-k.commit }()
	return g.destroy(op, End{ID: id, ClientID: clientID, Tag: tag})
}

// destroy needs the commit lock.
func (g *Gateway) destroy(ctx context.Context, end End) (bool, error) {
	was, err := g.store.Destroy(ctx, end.ID)
	if err != nil {
		g.stats.failures.Add(1)
		return false, unavailable(ctx, "destroy the session", err)
	}
	if was {
		g.cfg.Ended(end)
	}
	return was, nil
}

// expire ends the session if it is past its time, which it looks up once more under the commit lock.
func (g *Gateway) expire(ctx context.Context, id string) (bool, error) {
	k := g.Acquire(id)
	defer k.Release()
	op := g.detached(ctx)
	defer op.stop()
	if err := take(op, k.commit); err != nil {
		return false, unavailable(op, "wait for another change of the session", err)
	}
	defer func() { <-k.commit }()
	rec, err := g.store.Get(op, id)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return false, nil
	case err != nil:
		g.stats.failures.Add(1)
		return false, unavailable(op, "load the session", err)
	case !rec.Expired(Now()):
		return false, nil
	}
	was, err := g.destroy(op, End{ID: id, ClientID: rec.ClientID})
	if was {
		g.stats.expired.Add(1)
	}
	return was, err
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
		recs, err := g.sweeper.Sweep(ctx, now, sweepPiece)
		for i := range recs {
			g.reportSwept(ctx, &recs[i])
		}
		total += len(recs)
		if err != nil {
			g.stats.failures.Add(1)
			return total, unavailable(ctx, "sweep", err)
		}
		if len(recs) < sweepPiece {
			return total, nil
		}
		if err := ctx.Err(); err != nil {
			return total, cause(ctx)
		}
	}
}

// reportSwept tells of the end after every change that was stored before it. A commit lock that stays taken that long belongs
// to a store that hangs; the session is gone all the same.
func (g *Gateway) reportSwept(ctx context.Context, rec *store.Record) {
	g.stats.expired.Add(1)
	k := g.Acquire(rec.ID)
	defer k.Release()
	op := g.detached(ctx)
	defer op.stop()
	if err := take(op, k.commit); err == nil {
		defer func() { <-k.commit }()
	}
	g.cfg.Ended(End{ID: rec.ID, ClientID: rec.ClientID})
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
		was, err := g.expire(ctx, rec.ID)
		if err != nil {
			return total, err
		}
		if was {
			total++
		}
	}
	return total, nil
}

// RetirePrevious makes the token before the current one invalid at once: the current one has been presented.
// It is done when it can be; until then the grace period is the limit.
func (g *Gateway) RetirePrevious(ctx context.Context, rec *store.Record) {
	k := g.Acquire(rec.ID)
	defer k.Release()
	op := g.detached(ctx)
	defer op.stop()
	if err := take(op, k.commit); err != nil {
		return
	}
	defer func() { <-k.commit }()
	cur := *rec
	for range MaxAttempts {
		next := cur
		next.PrevTokenHash = store.TokenHash{}
		next.WriteID = g.writeID()
		stored, err := g.set(op, next)
		switch {
		case err == nil:
			*rec = stored
			return
		case !errors.Is(err, store.ErrConflict):
			g.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "previous session token could not be retired", slog.Any("error", err))
			return
		case stored.TokenGeneration != rec.TokenGeneration || stored.PrevTokenHash.IsZero():
			*rec = stored
			return
		}
		cur = stored
	}
}
