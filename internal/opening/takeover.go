package opening

import (
	"time"

	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/store"
)

// If the browser doesn't receive the response to a login, because its user clicked twice or the
// connection broke, it is left with a token that opens nothing. So the same user may log in again
// with that token, within the grace period, and gets the session.
//
// Until then the Draft of such a request shows an empty session, and nothing that the request does
// can be stored: the old token still opens nothing.

// Locked reports whether a login has replaced the token, and the Draft doesn't log the same user in
// again.
func (p *Proof) Locked() bool {
	if p == nil || p.replaced == nil {
		return false
	}
	_, logsIn := p.draft.LogsIn()
	return !logsIn
}

// Hidden is Locked for callers that don't hold the lock.
func (p *Proof) Hidden() bool { return p != nil && p.hidden.Load() }

// hide rebases the Draft on an empty session: the holder of the replaced token may see nothing. rec
// may be the base of the Draft.
func (p *Proof) hide(rec *store.Record) error {
	replaced, blank := *rec, *rec
	p.replaced = &replaced
	blank.Data, blank.UserID, blank.LoggedIn, blank.Addr, blank.UserAgent = []byte("{}"), "", time.Time{}, "", ""
	p.hidden.Store(true)
	p.generation, p.standing = blank.TokenGeneration-1, Replaced
	p.draft.Prove(p.generation)
	return p.draft.Rebase(blank)
}

// takeOver opens the locked session to its user, if login is that user's.
func (p *Proof) takeOver(login *gateway.Login) error {
	if !p.Locked() || login == nil || login.UserID != p.replaced.UserID {
		return nil // the token isn't current: that is the answer
	}
	if err := p.draft.Rebase(*p.replaced); err != nil {
		return err
	}
	p.hidden.Store(false)
	p.generation, p.standing = p.replaced.TokenGeneration, Current
	p.draft.Prove(p.generation)
	return nil
}

// Restore undoes the changes of the Draft but those of the savepoint; nil has none. A login that is
// undone locks the session again.
func (p *Proof) Restore(d, savepoint *gateway.Draft) {
	if savepoint == nil {
		d.Discard()
	} else {
		d.Restore(savepoint)
	}
	if p.Locked() {
		_ = p.hide(p.replaced)
	}
}

// Rebase puts the Draft on another state of the session. If a login has replaced the token, it
// locks the session if mayTakeOver allows that, and otherwise returns gateway.ErrTokenRotated.
func (p *Proof) Rebase(d *gateway.Draft, rec store.Record, mayTakeOver func(*store.Record) bool) error {
	locked := p.Locked() && rec.TokenHash == p.replaced.TokenHash
	switch {
	case !locked && !d.Cut(&rec):
		return d.Rebase(rec)
	case p == nil:
		return gateway.ErrTokenRotated
	}
	now := rec
	if !locked {
		_, logsIn := d.LogsIn()
		if logsIn || now.LoginGeneration != now.TokenGeneration || p.token.Hash() != now.PrevTokenHash ||
			!mayTakeOver(&now) {
			return gateway.ErrTokenRotated
		}
	}
	return p.hide(&now)
}
