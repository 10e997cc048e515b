package opening

import (
	"sync/atomic"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/credentials"
	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/store"
)

// Proof is the token of a session that a request has proved, and the one that its client is to
// have. It belongs to the Draft of the request's changes, and the lock of the Draft guards it.
//
// A nil *Proof belongs to a Draft without a request: it has proved no token, and is never locked.
// Only some of its methods may be called.
type Proof struct {
	o          *Opener
	draft      *gateway.Draft
	token      credentials.Token        // that the client has, or gets
	next       credentials.Alternatives // of a new session, or one that replaces token at the commit
	generation uint64                   // of token
	device     uint64                   // see Device
	stale      bool                     // the cookie is to be signed anew: see SignAnew
	standing   Standing
	passedOver bool
	lifetime   time.Duration // of the cookie: see cookieAge
	replaced   *store.Record // the session whose token a login has replaced: see Locked; nil for others
	hidden     atomic.Bool
}

// Issue gives a record that is not stored yet its first token.
func Issue(rec *store.Record) credentials.Token {
	t := credentials.NewToken()
	rec.TokenHash, rec.TokenGeneration = t.Hash(), 1
	return t
}

// Issued makes p, which is zero, the Proof of a session that is not stored yet. The base of the
// Draft has the token.
func (o *Opener) Issued(p *Proof, t credentials.Token, d *gateway.Draft) {
	*p = Proof{o: o, draft: d, next: credentials.Alternatives{t}, standing: Current, lifetime: cookieAge(d.Base())}
}

// Prove makes p, which is zero, the Proof of a session that has been opened. The base of the Draft
// is its record. If a login has replaced the token, Prove hides the record.
func (o *Opener) Prove(p *Proof, opened *Opened, d *gateway.Draft) error {
	*p = Proof{
		o: o, draft: d, token: opened.Token, generation: opened.Generation, stale: opened.Stale,
		device: opened.Device, standing: opened.Standing, passedOver: opened.PassedOver,
		lifetime: cookieAge(opened.Record),
	}
	if p.standing == Replaced {
		return p.hide(opened.Record)
	}
	d.Prove(p.generation)
	return nil
}

// cookieAge returns how long the browser is to keep the session's cookie: see
// credentials.Answer.SetSession.
func cookieAge(rec *store.Record) time.Duration {
	if gateway.EndsWithBrowser(rec.Data) {
		return credentials.UntilBrowserCloses
	}
	return rec.Lifetime
}

// Generation returns the generation of the token that has been proved, 0 for a session that isn't
// stored yet.
func (p *Proof) Generation() uint64 { return p.generation }

// Device returns the generation of the login whose binding to a device was proved when the session
// was opened, 0 if the session was not bound then.
func (p *Proof) Device() uint64 { return p.device }

// IsCurrent returns gateway.ErrTokenRotated if another request has replaced the token.
func (p *Proof) IsCurrent() error {
	if p.standing != Current {
		return gateway.ErrTokenRotated
	}
	return nil
}

// Issues reports whether the commit of the Draft gives the session a token that the client doesn't
// have.
func (p *Proof) Issues() bool {
	return p != nil && (p.draft.Base().Revision == 0 || p.draft.ReplacesToken())
}

// Replace has the commit of the Draft replace the token. A login derives the new token from the one
// that it replaces, so that the same login made twice leads to the same token.
func (p *Proof) Replace(login *gateway.Login) error {
	if err := p.takeOver(login); err != nil {
		return err
	}
	if err := p.IsCurrent(); err != nil {
		return err
	}
	base := p.draft.Base()
	switch {
	case base.Revision == 0: // no client has its token yet
	case login != nil:
		p.next = p.o.cfg.Successors.All(base.ID, p.token, login.UserID)
	case !p.draft.ReplacesToken():
		p.next = credentials.Alternatives{credentials.NewToken()}
	}
	first := p.next.Current(base.TokenHash)
	p.draft.ReplaceToken(first.Hash(), p.generation, login, p.next.Hashes()...)
	return nil
}

// Stored is called when the Draft has been stored. issued is what Issues reported before the
// commit. ok reports whether the client is to get a cookie: the new token, or the same one with
// another lifetime.
func (p *Proof) Stored(issued bool) (c Cookie, ok bool) {
	base := p.draft.Base()
	was := p.lifetime
	p.lifetime = cookieAge(base)
	switch {
	case issued:
		p.generation, p.token, p.standing, p.replaced = base.TokenGeneration, p.next.Current(base.TokenHash), Current, nil
		p.draft.Prove(p.generation)
	case p.lifetime == was, p.standing != Current, base.TokenGeneration != p.generation:
		return c, false
	}
	p.stale = false
	return p.cookie(), true
}

// cookie returns the credential that the client has, or gets.
func (p *Proof) cookie() Cookie {
	return Cookie{credentials.Session{ID: p.draft.Base().ID, Token: p.token}, p.lifetime}
}
