package gateway

import (
	"context"
	"errors"

	"github.com/sessionbridge/sessionbridge/store"
)

// admit stores next, which is cur with the draft's changes, after asking the gate if the change
// creates a session or logs a user in. After a conflict it returns the record that is stored instead.
// The commit lock is held.
func (g *Gateway) admit(
	op *opContext,
	d *Draft,
	cur, next *store.Record,
) (won *store.Record, err error) {
	user, logsIn := d.LogsIn()
	if g.cfg.Gate == nil || !logsIn && cur.Revision != 0 {
		return g.storeDraft(op, d, next)
	}
	pass, tag := g.cfg.Gate.Enter(Entrance{ID: cur.ID, IsNew: cur.Revision == 0, Was: cur.UserID, User: user})
	done := false
	defer func() { pass.Leave(done) }()
	if tag != nil {
		done, won, err = g.endInstead(op, cur, tag)
		return won, err
	}
	won, err = g.storeDraft(op, d, next)
	done = err == nil
	return won, err
}

// endInstead ends the session instead of changing it, unless another writer has changed it
// meanwhile: the session may then belong to another user.
func (g *Gateway) endInstead(op *opContext, cur *store.Record, tag any) (ended bool, won *store.Record, err error) {
	stored, err := g.get(op, cur.ID)
	switch {
	case errors.Is(err, ErrMissing):
		return false, nil, ErrGone
	case err != nil:
		return false, nil, err
	case stored.Revision != cur.Revision:
		g.stats.conflicts.Add(1)
		return false, &stored, store.ErrConflict
	}
	ended, err = g.destroy(
		op,
		End{ID: stored.ID, ClientID: stored.ClientID, UserID: stored.UserID, Tag: tag},
		stored.Revision,
	)
	switch {
	case err == nil:
		err = ErrGone
	case errors.Is(err, store.ErrConflict): // by another process, since
		if stored, err = g.get(op, cur.ID); err == nil {
			return ended, &stored, store.ErrConflict
		}
		if errors.Is(err, ErrMissing) {
			err = ErrGone
		}
	}
	return ended, nil, err
}

// storeDraft stores next, which is the stored record with the draft's changes on top.
//
// A write whose outcome is unknown is an error, unless it replaces the token: if it was stored, the
// browser would be left with a token that opens nothing. Then the stored record is read: if the
// write was stored, the record has its WriteID.
func (g *Gateway) storeDraft(ctx context.Context, d *Draft, next *store.Record) (won *store.Record, err error) {
	won, err = g.set(ctx, next)
	switch {
	case err == nil || next.Revision == 0 || !d.ReplacesToken():
		return won, err
	case errors.Is(err, store.ErrConflict), errors.Is(err, store.ErrBusy), errors.Is(err, ErrGone):
		return won, err // the write has not been made
	}
	op := g.detached(ctx)
	defer op.stop()
	if now, lookErr := g.get(op, next.ID); lookErr == nil && now.WriteID == next.WriteID {
		g.stats.writes.Add(1)
		*next = now
		return nil, nil
	}
	return won, err
}
