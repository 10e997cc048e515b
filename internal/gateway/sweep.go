package gateway

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/ctxlock"
	"github.com/sessionbridge/sessionbridge/store"
)

// sweepPiece is how many expired sessions are removed at once: other callers wait for one piece at
// most.
const sweepPiece = 256

// ErrNoSweep is the error of Sweep for a store that can neither sweep nor list.
var ErrNoSweep = fmt.Errorf(
	"bridge: the store can't find expired sessions, it implements neither store.Sweeper nor store.Lister: %w",
	errors.ErrUnsupported,
)

// Sweep removes the sessions that are past their time and returns their number.
func (g *Gateway) Sweep(ctx context.Context) (int, error) {
	switch {
	case g.sweeper != nil:
		return g.sweep(ctx)
	case g.lister != nil:
		return g.sweepList(ctx)
	}
	return 0, ErrNoSweep
}

// SweepOther removes what has expired from a store of records that are no sessions. No call of the
// store takes longer than the timeout.
func SweepOther(ctx context.Context, from store.Sweeper, timeout time.Duration) error {
	once := func(now time.Time) (int, error) {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		removed, err := from.Sweep(ctx, now, sweepPiece)
		return len(removed), err
	}
	for now := Now(); ; {
		if n, err := once(now); err != nil || n < sweepPiece {
			return err
		}
	}
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

// reportSwept reports the end, after the changes that were stored before it. If the commit lock
// stays taken for Config.StoreTimeout, the store hangs, and the end is reported without the lock.
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
