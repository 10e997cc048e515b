package gateway

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sessionbridge/sessionbridge/store"
)

// MaxAttempts is how often a change is tried against a session that others keep changing.
const MaxAttempts = 8

// Commit stores the draft's changes. A conflict is merged: they are applied to what is stored by then. Nothing is stored when nothing has
// changed. After success the draft is the stored state.
//
// ErrGone when the session has ended, ErrTokenRotated when another has replaced the token that d replaces; ErrTooLarge, a
// *ValueError, ErrConflict, ErrUnavailable. After any of them the draft still holds its changes.
func (g *Gateway) Commit(ctx context.Context, d *Draft, tag any) error {
	k := g.Acquire(d.base.ID)
	defer k.Release()
	op := g.detached(ctx)
	defer op.stop()
	if err := Take(op, k.merge); err != nil {
		return unavailable(op, "wait for another change of the session", err)
	}
	defer func() { <-k.merge }()
	cur := d.base
	again := g.Again(d.base.ID)
	defer again.Stop()
	for range MaxAttempts {
		now, err := g.attempt(ctx, k, d, &cur, tag)
		if !errors.Is(err, store.ErrConflict) {
			return err
		}
		switch cur, err = again.After(ctx, now); {
		case errors.Is(err, ErrMissing):
			return ErrGone
		case err != nil:
			return err
		}
	}
	return ErrConflict
}

// CommitExact stores the draft's changes if the session is as the draft's base has it. When it isn't, it returns
// store.ErrConflict and the record as it is now, for the caller to start again from.
func (g *Gateway) CommitExact(ctx context.Context, k *Lock, d *Draft, tag any) (store.Record, error) {
	cur := d.base
	return g.attempt(ctx, k, d, &cur, tag)
}

// busyPause is how long a change waits before it asks again whether others are done.
const busyPause = 3 * time.Millisecond

// attempt stores cur with the draft's changes on top. While another process has the session to itself, or the sessions of the user who logs in are being ended, it
// waits outside of the session's commit lock: that session may be one of them.
func (g *Gateway) attempt(ctx context.Context, k *Lock, d *Draft, cur *store.Record, tag any) (store.Record, error) {
	for until := time.Now().Add(g.cfg.StoreTimeout); ; time.Sleep(busyPause) {
		now, err := g.attemptOnce(ctx, k, d, cur, tag)
		if !errors.Is(err, store.ErrBusy) || time.Now().After(until) {
			return now, err
		}
	}
}

// attemptOnce is attempt without waiting. The commit lock covers the write and its report.
func (g *Gateway) attemptOnce(ctx context.Context, k *Lock, d *Draft, cur *store.Record, tag any) (store.Record, error) {
	if !d.Changed() {
		return *cur, nil
	}
	at := time.Now()
	now := precise(at)
	if cur.Revision != 0 && cur.Expired(now) { // or others have kept it alive since it was loaded
		stored, err := g.Load(context.WithoutCancel(ctx), cur.ID)
		switch {
		case errors.Is(err, ErrMissing):
			return *cur, ErrGone
		case err != nil:
			return *cur, err
		case stored.Revision != cur.Revision:
			return stored, store.ErrConflict
		}
		cur = &stored // only touched
	}
	next, err := g.apply(d, cur, now)
	if err != nil {
		return *cur, err
	}
	op := g.detachedAt(ctx, at)
	defer op.stop()
	if err := TakeFirst(op, k.commit); err != nil {
		return *cur, unavailable(op, "wait for another change of the session", err)
	}
	defer func() { <-k.commit }()

	stored, err := g.admit(op, d, cur, next)
	if err != nil {
		return stored, err
	}
	token := d.others().token
	commit := Commit{
		Record:  &d.base,
		IsNew:   cur.Revision == 0,
		Rotated: token != nil && cur.Revision != 0,
		Login:   token != nil && token.login != nil,
		Watched: g.cfg.Watched(),
		Tag:     tag,
	}
	if commit.Watched {
		commit.Keys = d.changedKeys()
	}
	d.settled(&stored)
	g.cfg.Committed(commit)
	return stored, nil
}

// set writes rec. With store.ErrConflict it returns the record that is stored instead.
func (g *Gateway) set(ctx context.Context, rec store.Record) (store.Record, error) {
	g.stats.writes.Add(1)
	rev, err := g.write(ctx, rec)
	switch {
	case err == nil:
		rec.Revision = rev
		return rec, nil
	case errors.Is(err, store.ErrNotFound):
		return rec, ErrGone
	case errors.Is(err, store.ErrBusy):
		return rec, unavailable(ctx, "wait for another writer", err)
	case !errors.Is(err, store.ErrConflict):
		g.stats.failures.Add(1)
		return rec, unavailable(ctx, "store the session", err)
	}
	now, err := g.read(ctx, rec.ID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return rec, ErrGone
	case err != nil:
		g.stats.failures.Add(1)
		return rec, unavailable(ctx, "load the session", err)
	case now.WriteID == rec.WriteID: // the store had taken the write when it was sent again
		return now, nil
	case rec.Revision == 0: // never again under the same ID
		return rec, fmt.Errorf("%w: the new session's ID is taken", ErrConflict)
	}
	g.stats.conflicts.Add(1)
	return now, store.ErrConflict
}
