package gateway

import (
	"context"
	"errors"
	"time"

	"github.com/sessionbridge/sessionbridge/store"
)

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
		won, err := g.set(op, &next)
		switch {
		case err == nil:
			*rec = next
			return
		case errors.Is(err, ErrGone):
			return
		case errors.Is(err, store.ErrBusy): // another process has exclusive access
			time.Sleep(busyPause)
			continue
		case won == nil:
			g.cfg.Failed(ctx, "retire a session's previous token", rec.ID, err)
			return
		case won.TokenGeneration != rec.TokenGeneration:
			return // the presented token is no longer the current one
		case won.Renewal != rec.Renewal: // another request has noted it
			*rec = *won
			return
		}
		cur = *won
	}
}
