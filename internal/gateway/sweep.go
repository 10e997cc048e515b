package gateway

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/ctxlock"
	"github.com/sessionbridge/sessionbridge/store"
)

// sweepPiece is how many expired sessions are removed at once: other callers wait for that long
// at most.
const sweepPiece = 256

// ErrNoSweep says that the store can neither sweep nor list.
var ErrNoSweep = fmt.Errorf(
	"bridge: the store can't find expired sessions, it implements neither store.Sweeper nor store.Lister: %w",
	errors.ErrUnsupported,
)

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
			return total, ctxlock.Cause(ctx)
		}
	}
}

// sweepOnce removes and reports one piece.
func (g *Gateway) sweepOnce(ctx context.Context, now time.Time) (int, error) {
	var later Later
	defer later.Run()
	if err := g.sweeping.Lock(ctx); err != nil {
		return 0, err
	}
	defer g.sweeping.Unlock()
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

// reportSwept reports the end after every change that was stored before it. If the commit lock
// stays taken for Config.StoreTimeout the store hangs, and the end is reported without it.
func (g *Gateway) reportSwept(rec *store.Record, later *Later) {
	g.stats.expired.Add(1)
	g.inOrder(rec.ID, later, func(later *Later) {
		g.cfg.Ended(End{ID: rec.ID, ClientID: rec.ClientID, UserID: rec.UserID, Found: true, Later: later})
	})
}

// sweepList is for stores that can only list.
func (g *Gateway) sweepList(ctx context.Context) (int, error) {
	total := 0
	for rec, err := range checked(g.lister.List(ctx), anyRecord) {
		if err != nil {
			g.stats.failures.Add(1)
			return total, Unavailable(ctx, "list the sessions", err)
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

// checkSwept returns an error unless rec is what a sweep at that time may return.
func checkSwept(rec *store.Record, now time.Time) error {
	switch {
	case rec.ID == "":
		return errNoRecord
	case !rec.Expired(now):
		return errNotExpired
	}
	return nil
}
