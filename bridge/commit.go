package bridge

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/sessionbridge/sessionbridge/internal/cachecontrol"
	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/internal/logins"
	"github.com/sessionbridge/sessionbridge/store"
)

// commit stores what has changed, merged key by key into what is stored by now. While a function of
// WithSession runs on the Session, its changes so far are stored if the session is still as the
// function saw it; if its time is up, and so somebody else is answering, they are not.
func (s *Session) commit(ctx context.Context) error {
	s.lock()
	defer s.unlock()
	if s.proof.Locked() {
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
		issues := s.proof.Issues()
		return s.stored(issues, s.withinLimits(ctx, func() error { return s.b.gateway.Commit(ctx, &s.draft, s.from) }))
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
	issues := s.proof.Issues()
	var rec store.Record
	err := s.withinLimits(ctx, func() (err error) {
		rec, err = s.b.gateway.CommitExact(ctx, k, &s.draft, s.from)
		return err
	})
	return rec, s.stored(issues, err)
}

// withinLimits runs commit, which stores the draft, within the limits on the sessions of a user and
// of a client. The lock of s is held, and no session's commit lock.
func (s *Session) withinLimits(ctx context.Context, commit func() error) error {
	one := logins.Session{ID: s.id, ClientID: s.clientID, Tag: s.from, Later: &s.later}
	if user, logsIn := s.draft.LogsIn(); logsIn {
		return s.b.limits.Login(ctx, one, user, commit)
	}
	creates := s.draft.Base().Revision == 0 && !s.from.clientIsNew() // a new client has no other
	err := commit()
	if creates && err == nil {
		s.b.limits.Created(ctx, one)
	}
	return err
}

// mayStore says why a change can't be stored, before the store is asked.
func (s *Session) mayStore(ctx context.Context) error {
	rq := s.from.request
	switch {
	case s.fate != fateAlive:
		return ErrSessionGone
	case rq == nil:
		return nil
	case rq.failure() != nil: // the client has been told that it failed
		return rq.failure()
	case s.proof.Issues() && rq.headersSent():
		return ErrHeadersSent
	case s.draft.ReplacesToken() && rq.Err() != nil: // the browser would never learn of the new token
		return fmt.Errorf("bridge: log in or rotate: the request has ended: %w", context.Cause(rq))
	case s.draft.Base().Revision == 0:
		if _, logsIn := s.draft.LogsIn(); logsIn { // of two logins at once the last one counts
			return nil
		}
		return rq.creds.MayCreate(ctx)
	}
	return nil
}

// stored draws the consequences of a commit, which returned err. issued reports whether it has
// given the session a token that the client doesn't have.
func (s *Session) stored(issued bool, err error) error {
	switch {
	case err == nil:
		s.stores++
		if rq := s.from.request; rq != nil {
			if cookie, ok := s.proof.Stored(issued); ok && (issued || !rq.headersSent()) {
				rq.creds.SetSession(cookie)
			}
		}
	case errors.Is(err, ErrStoreUnavailable) && s.draft.Base().Revision == 0:
		s.fate = fateUncertain // it may exist: it is never created again, another is
	case errors.Is(err, ErrSessionGone):
		s.fate = max(s.fate, fateGone) // and the cookie stays: by now the browser may have another session's
	}
	return err
}

// destroy does what Destroy asked for.
func (s *Session) destroy(ctx context.Context) error {
	rq, base := s.from.request, s.draft.Base()
	if s.proof.Locked() || rq != nil && base.Revision == 0 && rq.creds.Outrun() { // the browser's session would go on
		return ErrTokenRotated
	}
	from := *s.from
	from.reason = s.ending
	did := false
	if base.Revision != 0 && s.fate == fateAlive {
		ctx := context.WithoutCancel(ctx)
		if rq != nil {
			if err := rq.creds.EndOthers(ctx, &s.later, base.ID, &from); err != nil {
				return err
			}
		}
		from.userID = base.UserID
		var err error
		if did, err = s.b.gateway.DestroyDraft(ctx, &s.later, &s.draft, &from); err != nil {
			return err // Destroy stays asked for
		}
	}
	s.ending, s.fate, s.sealed = "", fateDestroyed, true
	if rq != nil && did { // otherwise another has ended it, and the browser may have the next session's cookie
		rq.creds.EndSession()
	}
	return nil
}

// renewToken gives the session a new token if the one that the request presented is older than
// Options.RenewEvery. It is called when the response is about to leave.
//
// A response that the browser doesn't get renews nothing (its client has hung up, or its time is
// up), nor does one that caches may give to others. A store that fails at it fails no request.
func (s *Session) renewToken(rq *request, h http.Header) {
	if s.b.opts.RenewEvery <= 0 || rq.Err() != nil || cachecontrol.Shared(h) {
		return
	}
	s.lock()
	defer s.unlock()
	if s.sealed || s.ended() != nil {
		return
	}
	cookie, ok, err := s.proof.Renew(rq, s.running != nil, s.from)
	if err != nil {
		s.b.storeFailed(rq, "renew a session's token", s.id, err)
	}
	if ok {
		rq.creds.SetSession(cookie)
	}
}
