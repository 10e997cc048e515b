package tickets

import (
	"context"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/store"
)

// batch is how many records a store.Sweeper removes in one operation.
const batch = 256

// Sweep removes the tickets that have expired. The error is gateway.ErrUnavailable, or the cause of
// ctx's end.
func (t *Tickets) Sweep(ctx context.Context) error {
	if err := t.sweepAll(ctx, gateway.Now()); err != nil {
		return gateway.Unavailable(ctx, "sweep tickets", err)
	}
	return nil
}

func (t *Tickets) sweepAll(ctx context.Context, now time.Time) error {
	if t.sweeper == nil {
		return t.sweepListed(ctx, now)
	}
	for {
		recs, err := t.sweepBatch(ctx, now)
		if err != nil || len(recs) < batch {
			return err
		}
	}
}

func (t *Tickets) sweepListed(ctx context.Context, now time.Time) error {
	for rec, err := range t.lister.List(ctx) {
		if err == nil && rec.Expired(now) {
			_, err = t.store.Destroy(ctx, rec.ID)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *Tickets) sweepBatch(ctx context.Context, now time.Time) ([]store.Record, error) {
	ctx, cancel := context.WithTimeout(ctx, t.cfg.StoreTimeout)
	defer cancel()
	return t.sweeper.Sweep(ctx, now, batch)
}
