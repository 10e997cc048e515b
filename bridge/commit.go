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

// commit stores the changes, merged key by key into the stored record. While a function of
// WithSession runs on s, its changes so far are stored only if the record is still the one that the
// function has read, and they are discarded if its context has ended: then the response is not the
// function's, but that of a timeout.
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
		s.restore(running.savepoint)
		running.savepoint, running.aborted, running = nil, true, nil
	}
	if s.sealed || !s.draft.Changed() {
		return nil
	}
	if err := s.mayStore(ctx); err != nil {
		return err
	}
	if running == nil {
		return s.store(ctx, func() error { return s.b.gateway.Commit(ctx, &s.draft, s.from) })
	}
	_, err := s.commitExact(ctx, running.lock)
	if errors.Is(err, store.ErrConflict) {
		return ErrConflict
	}
	if err == nil { // the stored changes can't be undone
		running.savepoint = nil
	}
	return err
}

// commitExact stores the changes if the stored record is still the base of the draft.
func (s *Session) commitExact(ctx context.Context, k *gateway.Lock) (rec store.Record, err error) {
	err = s.store(ctx, func() (err error) {
		rec, err = s.b.gateway.CommitExact(ctx, k, &s.draft, s.from)
		return err
	})
	return rec, err
}

// store runs commit, which stores the draft, within the limits on the sessions of a user and of a
// client, and records its consequences for s. The lock of s is held, and no session's commit lock.
func (s *Session) store(ctx context.Context, commit func() error) (err error) {
	one := logins.Session{ID: s.id, ClientID: s.clientID, Tag: s.from, Later: &s.later}
	issues := s.proof.Issues()
	creates := s.draft.Base().Revision == 0 && !s.from.clientIsNew()
	if user, logsIn := s.draft.LogsIn(); logsIn {
		err = s.b.limits.Login(ctx, one, user, commit)
	} else if err = commit(); err == nil && creates {
		s.b.limits.Created(ctx, one)
	}
	return s.stored(issues, err)
}

// mayStore returns the error of a change that is rejected without a call of the store.
func (s *Session) mayStore(ctx context.Context) error {
	rq := s.from.request
	switch {
	case s.fate != fateAlive:
		return ErrSessionGone
	case rq == nil:
		return nil
	case rq.failure() != nil: // the client has received the error
		return rq.failure()
	case s.proof.Issues() && rq.headersSent():
		return ErrHeadersSent
	case s.draft.ReplacesToken() && rq.Err() != nil: // the browser would not receive the new token
		return fmt.Errorf("bridge: log in or rotate: the request has ended: %w", context.Cause(rq))
	case s.draft.Base().Revision == 0:
		if _, logsIn := s.draft.LogsIn(); logsIn { // of two concurrent logins the last one counts
			return nil
		}
		return rq.creds.MayCreate(ctx)
	}
	return nil
}

// stored records the consequences of a commit that returned err, and returns err. issued reports
// whether the commit has given the session a token that the client doesn't have.
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
		s.fate = fateUncertain // creating it again could make two
	case errors.Is(err, ErrSessionGone):
		s.fate = max(s.fate, fateGone) // the cookie stays: the browser may have that of another session by now
	}
	return err
}

// destroy ends the session, as Destroy has requested. The lock is held.
func (s *Session) destroy(ctx context.Context) (err error) {
	rq, base := s.from.request, s.draft.Base()
	if s.proof.Locked() || rq != nil && base.Revision == 0 && rq.creds.Outrun() { // the browser has another session
		return ErrTokenRotated
	}
	from := *s.from
	from.reason = s.ending
	ended := false
	if base.Revision != 0 && s.fate == fateAlive {
		ctx := context.WithoutCancel(ctx)
		if rq != nil {
			if err := rq.creds.EndOthers(ctx, &s.later, base.ID, &from); err != nil {
				return err
			}
		}
		from.userID = base.UserID
		if ended, err = s.b.gateway.DestroyDraft(ctx, &s.later, &s.draft, &from); err != nil {
			return err // s.ending stays: a later commit tries again
		}
	}
	s.ending, s.fate, s.sealed = "", fateDestroyed, true
	if rq != nil && ended { // otherwise the browser may have the cookie of the next session already
		rq.creds.EndSession()
	}
	return nil
}

// renewToken gives the session a new token if the one that the request presented is older than
// Options.RenewEvery. It is called before the first byte of the response.
//
// It does nothing if the request has ended, so that the browser would not receive the token, or if
// shared caches may store the response. A failure of the store doesn't fail the request.
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
