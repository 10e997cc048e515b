package gateway

import (
	"context"
	"errors"
	"reflect"
	"time"

	"github.com/sessionbridge/sessionbridge/store"
)

// Commit stores the draft's changes. After a conflict they are merged into the newer record.
// Without changes it stores nothing. After success the draft is the stored state; after an error it
// still holds its changes.
//
// It returns ErrGone if the session has ended, ErrTokenRotated if another writer has replaced the
// token that d replaces, ErrTooLarge, a *ValueError, ErrConflict or ErrUnavailable. While a
// function of WithSession has exclusive access Commit waits, for Config.StoreTimeout at most; if
// ctx ends meanwhile it returns the cause.
func (g *Gateway) Commit(ctx context.Context, d *Draft, tag any) error {
	k := g.Acquire(d.base.ID)
	defer k.Release()
	if !d.Changed() {
		return nil
	}
	if err := g.beginMerge(ctx, k); err != nil {
		return err
	}
	defer k.merge.Unlock()
	cur := d.base
	retry := Retry{g: g, k: k, merges: true, later: d.later}
	defer retry.Stop()
	for range MaxAttempts {
		now, err := g.attempt(ctx, k, d, &cur, tag, true)
		if !errors.Is(err, store.ErrConflict) {
			return err
		}
		switch cur, err = retry.After(ctx, now); {
		case errors.Is(err, ErrMissing):
			return ErrGone
		case err != nil:
			return err
		}
	}
	return ErrConflict
}

// CommitExact stores the draft's changes if the stored session is the draft's base. Otherwise it
// returns store.ErrConflict and the record as it is now. It waits for no function of
// WithSession.
func (g *Gateway) CommitExact(ctx context.Context, k *Lock, d *Draft, tag any) (store.Record, error) {
	cur := d.base
	return g.attempt(ctx, k, d, &cur, tag, false)
}

// attempt stores cur with the draft's changes on top. While another process has exclusive access to
// the session, or the sessions of the user who logs in are being ended, it waits without the commit
// lock, because this session may be one of them. The wait ends with ctx.
func (g *Gateway) attempt(
	ctx context.Context,
	k *Lock,
	d *Draft,
	cur *store.Record,
	tag any,
	merges bool,
) (store.Record, error) {
	for until := time.Now().Add(g.cfg.StoreTimeout); ; {
		now, err := g.attemptOnce(ctx, k, d, cur, tag, merges)
		if !errors.Is(err, store.ErrBusy) || time.Now().After(until) {
			return now, err
		}
		if err := pause(ctx, busyPause); err != nil {
			return now, err
		}
	}
}

// attemptOnce is attempt without waiting. The commit lock covers the write and its report.
func (g *Gateway) attemptOnce(
	ctx context.Context,
	k *Lock,
	d *Draft,
	cur *store.Record,
	tag any,
	merges bool,
) (store.Record, error) {
	if !d.Changed() {
		return *cur, nil
	}
	at := time.Now()
	now := precise(at)
	if cur.Revision != 0 && cur.Expired(now) { // unless others have kept it alive since it was loaded
		stored, _, err := g.LoadAt(context.WithoutCancel(ctx), cur.ID, d.later)
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
	op := g.detachedIn(d.room, ctx, at)
	op.later = d.later
	defer op.stop()
	if err := k.commit.LockOrWait(op); err != nil {
		return *cur, Unavailable(op, "wait for another change of the session", err)
	}
	defer k.commit.Unlock()

	stored, err := g.admit(op, d, cur, next)
	if errors.Is(err, store.ErrConflict) && !stored.Expired(now) {
		won := stored
		if !merges && !onlyTouched(cur, &won) {
			return won, err
		}
		// Under the commit lock only another process can cause a further conflict.
		cur = &won
		if next, err = g.apply(d, cur, now); err != nil {
			return won, err
		}
		stored, err = g.admit(op, d, cur, next)
	}
	if err != nil {
		return stored, err
	}
	token := d.others().token
	isNew := cur.Revision == 0
	commit := Commit{
		Record:  &d.base,
		IsNew:   isNew,
		Rotated: !isNew && stored.TokenHash != cur.TokenHash,
		Login: token != nil && token.login != nil && !token.login.Elsewhere &&
			(isNew || stored.TokenHash != cur.TokenHash),
		Watched: g.cfg.Watched(),
		Tag:     tag,
		Later:   op.left(),
	}
	if commit.Login {
		commit.PrevUserID = cur.UserID
	}
	if commit.Watched {
		commit.Keys = d.changedKeys()
	}
	k.changes.Add(1)
	d.settled(&stored)
	g.cfg.Committed(commit)
	return stored, nil
}

// onlyTouched reports whether is differs from was only by touches: then a function of WithSession
// has read nothing outdated.
func onlyTouched(was, is *store.Record) bool {
	touched := *was
	touched.Seen, touched.Expires, touched.Revision, touched.WriteID = is.Seen, is.Expires, is.Revision, is.WriteID
	return reflect.DeepEqual(&touched, is)
}
