package gateway

import (
	"context"
	"errors"
	"fmt"

	"github.com/sessionbridge/sessionbridge/internal/ctxlock"
	"github.com/sessionbridge/sessionbridge/store"
)

// read is the store's Get, checked.
func (g *Gateway) read(ctx context.Context, id string) (store.Record, error) {
	rec, err := g.store.Get(ctx, id)
	if err == nil {
		err = CheckRecord(&rec, id)
	}
	if err != nil {
		return store.Record{}, err
	}
	return rec, nil
}

// write is the store's Set, checked.
func (g *Gateway) write(ctx context.Context, rec store.Record) (uint64, error) {
	revision, err := g.store.Set(ctx, rec)
	if err == nil && revision <= rec.Revision {
		err = errOldRevision
	}
	return revision, err
}

// get returns the stored record, past its time or not; ErrMissing if there is none.
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

// set writes rec. With store.ErrConflict it returns the record that is stored instead.
func (g *Gateway) set(ctx context.Context, rec store.Record) (store.Record, error) {
	rev, err := g.write(ctx, rec)
	switch {
	case err == nil:
		g.stats.writes.Add(1)
		rec.Revision = rev
		return rec, nil
	case errors.Is(err, store.ErrNotFound):
		return rec, ErrGone
	case errors.Is(err, store.ErrBusy):
		return rec, Unavailable(ctx, "wait for another writer", err)
	case !errors.Is(err, store.ErrConflict):
		g.stats.failures.Add(1)
		return rec, Unavailable(ctx, "store the session", err)
	}
	now, err := g.read(ctx, rec.ID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return rec, ErrGone
	case err != nil:
		g.stats.failures.Add(1)
		return rec, Unavailable(ctx, "load the session", err)
	case now.WriteID == rec.WriteID: // the store had taken the write when it was sent again
		g.stats.writes.Add(1)
		return now, nil
	case rec.Revision == 0: // a create is not repeated under the same ID
		return rec, fmt.Errorf("%w: the new session's ID is taken", ErrConflict)
	}
	g.stats.conflicts.Add(1)
	return now, store.ErrConflict
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
