package opening

import (
	"context"
	"errors"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/credentials"
	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/store"
)

// Renew gives the session a new token if the one that the request has proved is older than
// Config.Grace.Renew. It is called when the response is about to leave, not when the session is
// opened: the previous token is accepted for a limited time only, and a handler may take longer. ok
// reports whether the response is to set the cookie. keepBase leaves the base of the Draft, which a
// function that runs on it has read, unless the renewed record is that base.
//
// Of several concurrent requests the one that writes first sends the new token, and the others go
// on with the one that they have proved. The new token is derived from the one that it replaces: if
// it is renewed again, because the first response seemed lost, the browser gets the same token.
//
// After gateway.ErrUnavailable the request goes on with its token.
func (p *Proof) Renew(ctx context.Context, keepBase bool, tag any) (c Cookie, ok bool, err error) {
	if p.passedOver || p.o.cfg.Grace.Renew <= 0 {
		return c, false, nil
	}
	due := p.renewalDue(time.Now())
	if !due && p.standing != Late { // the next token costs an HMAC with each key
		return c, false, nil
	}
	base := p.draft.Base()
	next := p.o.cfg.Successors.Of(base.ID, p.token, "", base.TokenHash)
	if !due {
		if next.Hash() != base.TokenHash {
			return c, false, nil
		}
		// The browser has had this token: an older cookie has replaced it.
		return Cookie{credentials.Session{ID: base.ID, Token: next}, cookieAge(base)}, true, nil
	}
	rec, exact, err := p.storeRenewal(ctx, next, tag)
	if errors.Is(err, errNotRenewed) {
		return c, false, nil
	}
	if err != nil {
		return c, false, err
	}
	if exact || !keepBase {
		_ = p.draft.Rebase(rec) // it is what has just been written
	}
	p.generation, p.token, p.standing, p.lifetime = rec.TokenGeneration, next, Current, cookieAge(&rec)
	p.stale = false
	p.draft.Prove(p.generation)
	return p.cookie(), true, nil
}

// SignAnew returns the credential that the request has presented, for the response to set, if it is
// to be signed anew: with the first key, under the present name. The token stays. It is called when
// the response is about to leave, after Renew. ok is false if the browser has, or gets, a newer
// credential, and if the store can't tell: a later response signs anew then.
func (x *Exchange) SignAnew(ctx context.Context, p *Proof) (c Cookie, ok bool) {
	if !p.stale || p.passedOver || p.standing != Current {
		return c, false
	}
	rec, err := x.o.cfg.Gateway.Load(ctx, p.draft.Base().ID)
	if err != nil || rec.TokenHash != p.token.Hash() {
		return c, false
	}
	if loggedIn, err := x.loggedInSince(ctx, x.began, rec.ID); err != nil || loggedIn {
		return c, false
	}
	p.stale, p.lifetime = false, cookieAge(&rec)
	return p.cookie(), true
}

// renewalDue reports whether the token is to be renewed.
func (p *Proof) renewalDue(now time.Time) bool {
	base, grace := p.draft.Base(), &p.o.cfg.Grace
	age := now.Sub(base.RotatedAt)
	if base.RotatedAt.IsZero() {
		age = now.Sub(base.Created)
	}
	switch {
	case base.Revision == 0:
		return false
	case !base.PrevTokenHash.IsZero() && age < grace.Rotate: // it would end the grace period of the previous token
		return false
	case p.standing == Lost && base.Renewal == store.RenewalSent && p.generation+1 == base.TokenGeneration:
		return true
	case p.standing != Current || p.generation != base.TokenGeneration: // another response sends a newer one
		return false
	}
	return age >= grace.Renew
}

// errNotRenewed: there is nothing to be renewed any more.
var errNotRenewed = errors.New("opening: not renewed")

// storeRenewal stores the token in place of the one that has been proved, and nothing else. It
// returns what is stored then. exact reports whether the session was still the base of the Draft.
func (p *Proof) storeRenewal(ctx context.Context, next credentials.Token, tag any) (
	now store.Record, exact bool, err error,
) {
	g := p.o.cfg.Gateway
	cur := *p.draft.Base()
	k := g.Acquire(cur.ID)
	defer k.Release()
	generation := cur.TokenGeneration
	for attempt := range gateway.MaxAttempts {
		if cur.TokenGeneration != generation { // another request was first
			return cur, false, errNotRenewed
		}
		var d gateway.Draft
		if err := d.Rebase(cur); err != nil {
			return cur, false, err
		}
		d.RenewToken(next.Hash(), p.generation)
		won, err := g.CommitExact(ctx, k, &d, tag)
		switch {
		case err == nil:
			return *d.Base(), attempt == 0, nil
		case won != nil:
			cur = *won
		case errors.Is(err, gateway.ErrGone), errors.Is(err, gateway.ErrTokenRotated):
			return cur, false, errNotRenewed
		default:
			return cur, false, err
		}
	}
	return cur, false, errNotRenewed
}
