package gateway

import (
	"context"
	"errors"
	"fmt"

	"github.com/sessionbridge/sessionbridge/internal/ctxlock"
	"github.com/sessionbridge/sessionbridge/store"
)

// read is the store's Get into rec, checked. After an error rec is zero.
func (g *Gateway) read(ctx context.Context, id string, rec *store.Record) (err error) {
	if *rec, err = g.store.Get(ctx, id); err == nil {
		err = CheckRecord(rec, id)
	}
	if err != nil {
		*rec = store.Record{}
	}
	return err
}

// write is the store's Set, checked.
func (g *Gateway) write(ctx context.Context, rec *store.Record) (uint64, error) {
	revision, err := g.store.Set(ctx, *rec)
	if err == nil && revision <= rec.Revision {
		err = errOldRevision
	}
	return revision, err
}

// get returns the stored record, past its time or not; ErrMissing if there is none.
func (g *Gateway) get(op *opContext, id string) (rec store.Record, err error) {
	err = g.getInto(op, id, &rec)
	return rec, err
}

// getInto is get into rec, which is zero after an error.
func (g *Gateway) getInto(op *opContext, id string, rec *store.Record) error {
	err := g.read(op, id, rec)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return ErrMissing
	case err != nil:
		return g.failed(op, "load the session", err)
	}
	return nil
}

// set writes rec, which has the new revision then. After a conflict it returns the record that is
// stored instead, and store.ErrConflict. Other errors may match that, too: won tells them apart.
func (g *Gateway) set(ctx context.Context, rec *store.Record) (won *store.Record, err error) {
	rev, err := g.write(ctx, rec)
	switch {
	case err == nil:
		g.stats.writes.Add(1)
		rec.Revision = rev
		return nil, nil
	case errors.Is(err, store.ErrNotFound):
		return nil, ErrGone
	case errors.Is(err, store.ErrBusy):
		return nil, Unavailable(ctx, "wait for another writer", err)
	case !errors.Is(err, store.ErrConflict):
		g.stats.failures.Add(1)
		return nil, Unavailable(ctx, "store the session", err)
	}
	return g.lost(ctx, rec)
}

// lost returns what set returns after a conflict of the store.
func (g *Gateway) lost(ctx context.Context, rec *store.Record) (won *store.Record, err error) {
	won = new(store.Record)
	err = g.read(ctx, rec.ID, won)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, ErrGone
	case err != nil:
		g.stats.failures.Add(1)
		return nil, Unavailable(ctx, "load the session", err)
	case won.WriteID == rec.WriteID: // the store had taken the write when it was sent again
		g.stats.writes.Add(1)
		*rec = *won
		return nil, nil
	case rec.Revision == 0: // a create is not repeated under the same ID
		return nil, fmt.Errorf("%w: the new session's ID is taken", ErrConflict)
	}
	g.stats.conflicts.Add(1)
	return won, store.ErrConflict
}

// Ping returns nil if the store answers or isn't a store.Pinger, ErrUnavailable otherwise.
func (g *Gateway) Ping(ctx context.Context) error {
	if g.pinger == nil {
		return nil
	}
	op := g.attached(ctx)
	defer op.stop()
	return g.failed(op, "ping", g.pinger.Ping(op))
}

// failed counts a failure of the store and wraps it as one, unless the caller has given up.
func (g *Gateway) failed(op *opContext, doing string, err error) error {
	if err == nil {
		return nil
	}
	if err = Unavailable(op, doing, err); isUnavailable(err) {
		g.stats.failures.Add(1)
	}
	return err
}

// Unavailable returns the error of an operation of the store that has failed with err:
// ErrUnavailable, or the cause of ctx's end if the caller has given up: then the store may be fine.
func Unavailable(ctx context.Context, doing string, err error) error {
	op, own := ctx.(*opContext)
	if own && op.attached {
		ctx, own = op.parent, false
	}
	if !own && ctx.Err() != nil {
		return fmt.Errorf("bridge: %s: %w", doing, ctxlock.Cause(ctx))
	}
	return fmt.Errorf("%w: %s: %w", ErrUnavailable, doing, err)
}

func isUnavailable(err error) bool { return errors.Is(err, ErrUnavailable) }
