package bridge

import (
	"context"
	"errors"
	"fmt"

	"github.com/sessionbridge/sessionbridge/internal/credentials"
	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/internal/logins"
	"github.com/sessionbridge/sessionbridge/store"
)

// commit stores what has changed, merged key by key into what is stored by now. While a function of WithSession runs on the
// Session, its changes so far are stored if the session is still as the function saw it; if its time is up, and so somebody else is
// answering, they are not.
func (s *Session) commit(ctx context.Context) error {
	s.lock()
	defer s.unlock()
	if s.locked() {
		return ErrTokenRotated
	}
	if s.ending != "" {
		return s.destroy(ctx)
	}
	running := s.running
	if running != nil && running.Err() != nil {
		s.restore(running.back)
		running.back, running.cutOff, running = nil, true, nil
	}
	if s.sealed || !s.draft.Changed() {
		return nil
	}
	if err := s.mayStore(ctx); err != nil {
		return err
	}
	if running == nil {
		cookie := s.needsCookie()
		return s.stored(cookie, s.withinLimits(ctx, func() error { return s.b.gateway.Commit(ctx, &s.draft, s.from) }))
	}
	_, err := s.commitExact(ctx, running.lock)
	if errors.Is(err, store.ErrConflict) {
		return ErrConflict
	}
	if err == nil { // what is stored can't be undone
		running.back = nil
	}
	return err
}

// commitExact stores what has changed if the session is still as s has it.
func (s *Session) commitExact(ctx context.Context, k *gateway.Lock) (store.Record, error) {
	cookie := s.needsCookie()
	var rec store.Record
	err := s.withinLimits(ctx, func() (err error) {
		rec, err = s.b.gateway.CommitExact(ctx, k, &s.draft, s.from)
		return err
	})
	return rec, s.stored(cookie, err)
}

// withinLimits runs commit, which stores the draft, within the limits on the sessions of a user and
// of a client. The lock of s is held, and no session's commit lock.
func (s *Session) withinLimits(ctx context.Context, commit func() error) error {
	one := logins.Session{ID: s.id, ClientID: s.clientID, Tag: s.from, Later: &s.later}
	if user, logsIn := s.draft.LogsIn(); logsIn {
		return s.b.limits.Login(ctx, one, user, commit)
	}
	rq := s.from.request
	creates := s.draft.Base().Revision == 0 && (rq == nil || !rq.answer.ClientIsNew()) // a new client has no other
	err := commit()
	if creates && err == nil {
		s.b.limits.Created(ctx, one)
	}
	return err
}

// needsCookie reports whether the commit of the draft gives the session a token that the browser doesn't have.
func (s *Session) needsCookie() bool {
	return s.from.request != nil && (s.draft.Base().Revision == 0 || s.draft.ReplacesToken())
}

// mayStore says why a change can't be stored, before the store is asked.
func (s *Session) mayStore(ctx context.Context) error {
	rq := s.from.request
	switch {
	case s.gone:
		return ErrSessionGone
	case rq == nil:
		return nil
	case rq.failure() != nil: // the client has been told that it failed
		return rq.failure()
	case s.needsCookie() && rq.headersSent():
		return ErrHeadersSent
	case s.draft.ReplacesToken() && rq.Err() != nil: // the browser would never learn of the new token
		return fmt.Errorf("bridge: log in or rotate: the request has ended: %w", context.Cause(rq))
	case s.draft.Base().Revision == 0:
		if _, logsIn := s.draft.LogsIn(); logsIn { // of two logins at once the last one counts
			return nil
		}
		return rq.mayCreate(ctx)
	}
	return nil
}

// stored draws the consequences of a commit, which returned err.
func (s *Session) stored(cookie bool, err error) error {
	rq := s.from.request
	if err == nil {
		s.stores++
		if base := s.draft.Base(); rq != nil {
			age := cookieAge(base)
			if !cookie && !s.stale && base.TokenGeneration == s.proved && age != s.lifetime && !rq.headersSent() {
				rq.setCookie(credentials.Session{ID: base.ID, Token: s.token}, age) // the browser is to keep it as long as the session
			}
			s.lifetime = age
		}
	}
	switch {
	case errors.Is(err, ErrStoreUnavailable) && s.draft.Base().Revision == 0:
		s.gone, s.ended = true, true // it may exist: it is never created again, another is
	case errors.Is(err, ErrSessionGone):
		s.gone = true // and the cookie stays: by now the browser may have another session's
	case err == nil && cookie:
		base := s.draft.Base()
		s.proved, s.token, s.stale, s.replaced = base.TokenGeneration, s.nextToken, false, nil
		s.draft.Prove(s.proved)
		rq.setCookie(credentials.Session{ID: base.ID, Token: s.nextToken}, s.lifetime)
	}
	return err
}

// destroy does what Destroy asked for.
func (s *Session) destroy(ctx context.Context) error {
	if s.locked() {
		return ErrTokenRotated
	}
	if rq := s.from.request; rq != nil && s.draft.Base().Revision == 0 && rq.isOutrun() {
		return ErrTokenRotated // the browser's session would go on
	}
	from := *s.from
	from.reason = s.ending
	did := false
	if base := s.draft.Base(); base.Revision != 0 && !s.gone {
		ctx := context.WithoutCancel(ctx)
		if rq := s.from.request; rq != nil {
			if err := rq.endOthers(ctx, &s.later, base.ID, &from); err != nil {
				return err
			}
		}
		from.userID = base.UserID
		var err error
		if did, err = s.b.gateway.DestroyDraft(ctx, &s.later, &s.draft, &from); err != nil {
			return err // Destroy stays asked for
		}
	}
	s.ending, s.ended, s.sealed = "", true, true
	if s.from.request != nil && did { // otherwise another has ended it, and the browser may have the next session's cookie
		s.from.request.clearSite()
		s.from.request.removeCookie()
	}
	return nil
}
