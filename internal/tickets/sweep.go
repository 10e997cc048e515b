package tickets

import (
	"context"

	"github.com/sessionbridge/sessionbridge/internal/gateway"
)

// Sweep removes the tickets that have expired. The error is gateway.ErrUnavailable, or the cause of
// ctx's end.
func (t *Tickets) Sweep(ctx context.Context) (err error) {
	if t.sweeper != nil {
		err = gateway.SweepOther(ctx, t.sweeper, t.cfg.StoreTimeout)
	} else {
		err = t.sweepListed(ctx)
	}
	if err != nil {
		return gateway.Unavailable(ctx, "sweep tickets", err)
	}
	return nil
}

func (t *Tickets) sweepListed(ctx context.Context) error {
	now := gateway.Now()
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
