package gateway

import (
	"errors"

	"github.com/sessionbridge/sessionbridge/store"
)

// Gate stands before the store for the changes that create a session or log a user in: whoever ends all sessions of a user has to know which of
// them are under way.
type Gate interface {
	// Enter is asked under the session's commit lock, right before the change is stored. With a tag the session ends instead, for whoever
	// the tag names. It must be quick.
	Enter(e Entrance) (pass Pass, tag any)
}

// Pass is what Gate.Enter has let through.
type Pass interface {
	// Leave is called once, when the store has answered; done says that it has done what it was asked for.
	Leave(done bool)
}

// Entrance is a change that wants to pass a Gate.
type Entrance struct {
	ID    string
	IsNew bool   // it creates the session
	Was   string // the session's user before
	User  string // who logs in; "" for a session that is created without a user
}

// admit stores next, which is cur with the draft's changes, past the gate if that is asked. The commit lock is held.
func (g *Gateway) admit(op *opContext, d *Draft, cur *store.Record, next store.Record) (stored store.Record, err error) {
	user, logsIn := d.LogsIn()
	if g.cfg.Gate == nil || !logsIn && cur.Revision != 0 {
		return g.storeDraft(op, d, next)
	}
	pass, tag := g.cfg.Gate.Enter(Entrance{ID: cur.ID, IsNew: cur.Revision == 0, Was: cur.UserID, User: user})
	done := false
	defer func() { pass.Leave(done) }()
	if tag != nil {
		done, stored, err = g.endInstead(op, cur, tag)
		return stored, err
	}
	stored, err = g.storeDraft(op, d, next)
	done = err == nil
	return stored, err
}

// endInstead ends the session that was about to be changed, unless others have changed it meanwhile: it may not be meant any more then.
func (g *Gateway) endInstead(op *opContext, cur *store.Record, tag any) (ended bool, stored store.Record, err error) {
	stored, err = g.get(op, cur.ID)
	switch {
	case errors.Is(err, ErrMissing):
		return false, *cur, ErrGone
	case err != nil:
		return false, *cur, err
	case stored.Revision != cur.Revision:
		g.stats.conflicts.Add(1)
		return false, stored, store.ErrConflict
	}
	ended, err = g.destroy(op, End{ID: stored.ID, ClientID: stored.ClientID, UserID: stored.UserID, Tag: tag}, stored.Revision)
	switch {
	case err == nil:
		err = ErrGone
	case errors.Is(err, store.ErrConflict): // by another process, since
		if stored, err = g.get(op, cur.ID); err == nil {
			err = store.ErrConflict
		} else if errors.Is(err, ErrMissing) {
			err = ErrGone
		}
	}
	return ended, stored, err
}

// LogsIn returns the user that the draft logs in, if it does.
func (d *Draft) LogsIn() (user string, ok bool) {
	if d.more == nil || d.more.token == nil || d.more.token.login == nil {
		return "", false
	}
	return d.more.token.login.UserID, true
}
