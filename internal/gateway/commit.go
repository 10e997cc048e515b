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
		won, err := g.attempt(ctx, k, d, &cur, tag, true)
		if won == nil {
			return err
		}
		switch cur, err = retry.After(ctx, *won); {
		case errors.Is(err, ErrMissing):
			return ErrGone
		case err != nil:
			return err
		}
	}
	return ErrConflict
}

// CommitExact stores the draft's changes if the stored session is the draft's base. Otherwise it
// returns the record as it is now, and an error. Without such a conflict won is nil, whether err is or
// not. It waits for no function of WithSession.
func (g *Gateway) CommitExact(ctx context.Context, k *Lock, d *Draft, tag any) (won *store.Record, err error) {
	return g.attempt(ctx, k, d, &d.base, tag, false)
}

// attempt stores cur, which may be the draft's base, with the draft's changes on top. After success
// that is the draft's base; after a conflict it returns the record that is stored instead.
// While another process has exclusive access to the session, or the sessions of the user who logs in
// are being ended, it waits without the commit lock, because this session may be one of them. The
// wait ends with ctx.
func (g *Gateway) attempt(
	ctx context.Context,
	k *Lock,
	d *Draft,
	cur *store.Record,
	tag any,
	merges bool,
) (won *store.Record, err error) {
	for busy := (time.Time{}); ; {
		won, err = g.attemptOnce(ctx, k, d, cur, tag, merges)
		switch {
		case !errors.Is(err, store.ErrBusy):
			return won, err
		case busy.IsZero():
			busy = time.Now()
		case time.Since(busy) > g.cfg.StoreTimeout:
			return nil, err
		}
		if err := pause(ctx, busyPause); err != nil {
			return nil, err
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
) (won *store.Record, err error) {
	if !d.Changed() {
		return nil, nil
	}
	at := time.Now()
	now := precise(at)
	if cur.Revision != 0 && cur.Expired(now) { // unless others have kept it alive since it was loaded
		stored, _, err := g.LoadAt(context.WithoutCancel(ctx), cur.ID, d.later)
		switch {
		case errors.Is(err, ErrMissing):
			return nil, ErrGone
		case err != nil:
			return nil, err
		case stored.Revision != cur.Revision:
			return &stored, store.ErrConflict
		}
		cur = &stored // only touched
	}
	var next store.Record
	if err := g.apply(d, cur, now, &next); err != nil {
		return nil, err
	}
	op := g.detachedIn(d.room, ctx, at)
	op.later = d.later
	defer op.stop()
	if err := k.commit.LockOrWait(op); err != nil {
		return nil, Unavailable(op, "wait for another change of the session", err)
	}
	defer k.commit.Unlock()

	won, err = g.admit(op, d, cur, &next)
	if won != nil && !won.Expired(now) {
		if !merges && !onlyTouched(cur, won) {
			return won, err
		}
		// Under the commit lock only another process can cause a further conflict.
		cur = won
		if err := g.apply(d, cur, now, &next); err != nil {
			return nil, err
		}
		won, err = g.admit(op, d, cur, &next)
	}
	if err != nil {
		return won, err
	}
	token := d.others().token
	isNew := cur.Revision == 0
	commit := Commit{
		Record:  &d.base,
		IsNew:   isNew,
		Rotated: !isNew && next.TokenHash != cur.TokenHash,
		Login: token != nil && token.login != nil && !token.login.Elsewhere &&
			(isNew || next.TokenHash != cur.TokenHash),
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
	d.settled(&next)
	g.cfg.Committed(commit)
	return nil, nil
}

// onlyTouched reports whether is differs from was only by touches: then a function of WithSession
// has read nothing outdated.
func onlyTouched(was, is *store.Record) bool {
	touched := *was
	touched.Seen, touched.Expires, touched.Revision, touched.WriteID = is.Seen, is.Expires, is.Revision, is.WriteID
	return reflect.DeepEqual(&touched, is)
}
