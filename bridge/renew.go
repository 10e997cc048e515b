package bridge

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/cachecontrol"
	"github.com/sessionbridge/sessionbridge/internal/credentials"
	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/store"
)

// renewToken gives the session a new token if the one that the request presented is older than Options.RenewEvery. It is called when the response is about to
// leave, not when the session is opened: the previous token is good for RotateGrace only, and a handler may take longer than that.
//
// A response that nobody gets renews nothing (its client has hung up, or its time is up), nor does one that caches may give to others.
//
// Unlike Rotate it asks for nothing: of several requests at once the one whose write comes first sends the new token, and the others carry on with the one that they
// have proved. A store that fails at it fails no request.
//
// The new token follows from the one that it replaces: responses that renew it twice, because the first seemed lost, bring the browser the same.
func (s *Session) renewToken(rq *request, h http.Header) {
	if s.b.opts.RenewEvery <= 0 || rq.Err() != nil || cachecontrol.Shared(h) {
		return
	}
	s.lock()
	defer s.unlock()
	due := s.renewalDue(time.Now())
	if !due && !s.late { // the next token costs an HMAC with each key
		return
	}
	base := s.draft.Base()
	next := s.b.successors.Of(s.id, s.token, "", base.TokenHash)
	if s.late && next.Hash() == base.TokenHash { // the browser has put an older cookie in the place of this one
		rq.setCookie(credentials.Session{ID: s.id, Token: next}, cookieAge(base))
		return
	}
	if !due {
		return
	}
	rec, exact, err := s.storeRenewal(rq, next)
	switch {
	case errors.Is(err, errNotRenewed):
		return
	case err != nil:
		s.b.storeFailed(rq, "renew a session's token", s.id, err)
		return
	}
	if exact || s.running == nil { // what a function of WithSession has read must stay what it is about to change
		_ = s.draft.Rebase(rec) // it is what has just been written
	}
	s.proved, s.token, s.stale, s.unrenewed, s.lifetime = rec.TokenGeneration, next, false, false, cookieAge(&rec)
	s.draft.Prove(s.proved)
	rq.setCookie(credentials.Session{ID: rec.ID, Token: next}, s.lifetime)
}

// renewalDue needs the lock.
func (s *Session) renewalDue(now time.Time) bool {
	base := s.draft.Base()
	age := now.Sub(base.RotatedAt)
	if base.RotatedAt.IsZero() {
		age = now.Sub(base.Created)
	}
	switch {
	case base.Revision == 0:
		return false
	case s.gone || s.ended || s.sealed || s.ending != "":
		return false
	case !base.PrevTokenHash.IsZero() && age < limit(s.b.opts.RotateGrace): // it would cut the grace of the one before short
		return false
	case s.unrenewed && base.Renewal == store.RenewalSent && s.proved+1 == base.TokenGeneration:
		return true // the response that had the new one has been lost: when this request began there had been time enough for it
	case s.stale || s.proved != base.TokenGeneration: // somebody else has sent a newer one
		return false
	}
	return age >= s.b.opts.RenewEvery
}

// errNotRenewed: there is nothing to be renewed any more.
var errNotRenewed = errors.New("bridge: not renewed")

// storeRenewal stores the token in place of the one that s has proved, and nothing else, and returns what is stored then; exact says that nobody else has
// changed the session since s saw it.
func (s *Session) storeRenewal(ctx context.Context, next credentials.Token) (now store.Record, exact bool, err error) {
	b := s.b
	k := b.gateway.Acquire(s.id)
	defer k.Release()
	cur := *s.draft.Base()
	generation := cur.TokenGeneration
	for attempt := range gateway.MaxAttempts {
		if cur.TokenGeneration != generation { // somebody else was faster
			return cur, false, errNotRenewed
		}
		var d gateway.Draft
		if err := d.Rebase(cur); err != nil {
			return cur, false, err
		}
		d.RenewToken(next.Hash(), s.proved)
		rec, err := b.gateway.CommitExact(ctx, k, &d, s.from)
		switch {
		case err == nil:
			return rec, attempt == 0, nil
		case errors.Is(err, store.ErrConflict):
			cur = rec
		case errors.Is(err, ErrSessionGone), errors.Is(err, ErrTokenRotated):
			return cur, false, errNotRenewed
		default:
			return cur, false, err
		}
	}
	return cur, false, errNotRenewed
}

// upgrades reports whether the request asks for another protocol: browsers may drop the cookies of the answer to it.
func upgrades(r *http.Request) bool {
	return len(r.Header["Upgrade"]) > 0 || r.Method == http.MethodConnect
}
