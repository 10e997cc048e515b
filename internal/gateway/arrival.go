package gateway

import (
	"context"
	"errors"

	"github.com/sessionbridge/sessionbridge/store"
)

// storeDraft stores next, which is the stored record with the draft's changes on top.
//
// A write whose outcome is unknown is an error, except where it replaces the token: had it
// arrived, the browser would be left with a token that opens nothing. There the stored record
// decides: it carries the WriteID of this very attempt if the attempt has arrived.
func (g *Gateway) storeDraft(ctx context.Context, d *Draft, next store.Record) (store.Record, error) {
	stored, err := g.set(ctx, next)
	switch {
	case err == nil || next.Revision == 0 || !d.ReplacesToken():
		return stored, err
	case errors.Is(err, store.ErrConflict), errors.Is(err, store.ErrBusy), errors.Is(err, ErrGone):
		return stored, err // the write has not been made
	}
	op := g.detached(ctx)
	defer op.stop()
	if now, lookErr := g.get(op, next.ID); lookErr == nil && now.WriteID == next.WriteID {
		return now, nil
	}
	return stored, err
}
