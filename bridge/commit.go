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
	err := s.reviewed(ctx)
	defer s.unlock()
	switch {
	case s.proof.Locked():
		return ErrTokenRotated
	case s.ending != "":
		return s.destroy(ctx)
	case err != nil:
		return err
	}
	running := s.running
	if running != nil && running.aborted {
		running = nil
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
	won, err := s.commitExact(ctx, running.lock)
	if won != nil {
		return ErrConflict
	}
	if err == nil { // the stored changes can't be undone
		running.savepoint = nil
	}
	return err
}

// review has Options.BeforeCommit check the changes that are to be stored. It returns with the lock
// held, also after an error, and without one nothing is changed that the hook hasn't seen. The hook
// runs without the lock, on a copy whose changes s takes over. If s is changed meanwhile, call runs
// again. With undoes, the changes of a function of WithSession whose context has ended are undone
// first. A panic of call leaves the lock free.
func (s *Session) review(ctx context.Context, undoes bool, call sessionFunc) error {
	s.lock()
	for range gateway.MaxAttempts {
		if undoes {
			s.undoAborted()
		}
		if s.b.opts.BeforeCommit == nil ||
			s.proof.Locked() || s.ending != "" || s.fate != fateAlive || !s.draft.Changed() {
			return nil
		}
		if s.reviewing.Load() >= gateway.MaxAttempts { // the hook commits s itself
			return ErrNested
		}
		copied := s.copy()
		changes, revision := s.changes, s.draft.Base().Revision
		s.unlock()
		err := call(ctx, copied)
		draft, ending := copied.result()
		s.lock()
		if err != nil {
			return err
		}
		if s.changes == changes && s.draft.Base().Revision == revision {
			s.draft, s.ending = draft, ending
			s.draft.Defer(&s.later)
			return nil
		}
	}
	return ErrConflict
}

// undoAborted undoes the changes of a function of WithSession whose context has ended. The lock is
// held.
func (s *Session) undoAborted() {
	tx := s.running
	if tx == nil || tx.aborted || tx.Err() == nil || s.proof.Locked() || s.ending != "" {
		return
	}
	s.restore(tx.savepoint)
	tx.savepoint, tx.aborted = nil, true
}

// callBeforeCommit calls Options.BeforeCommit with a copy of s.
func (s *Session) callBeforeCommit(ctx context.Context, copied *Session) error {
	s.reviewing.Add(1)
	defer s.reviewing.Add(-1)
	tx := &txContext{Context: ctx, session: copied}
	defer tx.done.Store(true)
	defer copied.seal()
	if err := s.b.opts.BeforeCommit(tx, copied); err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return nil
}

// reviewed is review outside of a function of WithSession, where a panic would go on in code that
// isn't the application's.
func (s *Session) reviewed(ctx context.Context) error {
	return s.review(ctx, true, func(ctx context.Context, copied *Session) (err error) {
		defer func() {
			if p := recover(); p != nil {
				s.b.report.Panicked(ctx, "BeforeCommit panicked", "call Options.BeforeCommit: it panicked", s.id, p)
				err = ErrPanicked
			}
		}()
		return s.callBeforeCommit(ctx, copied)
	})
}

// commitExact stores the changes if the stored record is still the base of the draft. Otherwise it
// returns the stored record, and an error.
func (s *Session) commitExact(ctx context.Context, k *gateway.Lock) (won *store.Record, err error) {
	err = s.store(ctx, func() (err error) {
		won, err = s.b.gateway.CommitExact(ctx, k, &s.draft, s.from)
		return err
	})
	return won, err
}

// store runs commit, which stores the draft, within the limits on the sessions of a user and of a
// client, and records its consequences for s. The lock of s is held, and no session's commit lock.
func (s *Session) store(ctx context.Context, commit func() error) (err error) {
	one := logins.Session{ID: s.id, ClientID: s.clientID, Tag: s.from, Later: &s.later}
	issues := s.proof.Issues()
	creates := s.draft.Base().Revision == 0 && !s.from.clientIsNew()
	user, logsIn := s.draft.LogsIn()
	if !logsIn {
		if err := s.admitNew(); err != nil {
			return err
		}
	}
	if logsIn {
		if err = s.b.limits.Login(ctx, one, user, commit); err == nil {
			s.logins++
		}
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

// mayDestroy returns the error of a session that destroy may not end. The lock is held.
func (s *Session) mayDestroy() error {
	rq := s.from.request
	if s.proof.Locked() || rq != nil && s.draft.Base().Revision == 0 && rq.creds.Outrun() {
		return ErrTokenRotated // the browser has another session
	}
	return nil
}

// destroy ends the session, as Destroy has requested. The lock is held, and free while functions of
// the application run: see endImports.
func (s *Session) destroy(ctx context.Context) (err error) {
	if err := s.mayDestroy(); err != nil {
		return err
	}
	if err := s.endImports(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	if err := s.mayDestroy(); err != nil || s.ending == "" { // ended meanwhile by another goroutine
		return err
	}
	rq, base := s.from.request, s.draft.Base()
	ended := false
	if base.Revision != 0 && s.fate == fateAlive {
		ctx := context.WithoutCancel(ctx)
		if rq != nil {
			if err := rq.creds.EndOthers(ctx, &s.later, base.ID, s.from.ending(end{reason: s.ending})); err != nil {
				return err
			}
		}
		from := s.from.ending(end{reason: s.ending, userID: base.UserID})
		if ended, err = s.b.gateway.DestroyDraft(ctx, &s.later, &s.draft, from); err != nil {
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
// Options.RenewEvery. Otherwise it has the credential signed anew if that is due. It is called
// before the first byte of the response.
//
// It does nothing if the request has ended, so that the browser would not receive the token, or if
// shared caches may store the response. A failure of the store doesn't fail the request.
func (s *Session) renewToken(rq *request, h http.Header) {
	if s.b.opts.RenewEvery <= 0 && !rq.creds.Presented().Stale() ||
		rq.Err() != nil || cachecontrol.Shared(h) {
		return
	}
	s.lock()
	defer s.unlock()
	if s.sealed || s.ended() != nil {
		return
	}
	cookie, ok, err := s.proof.Renew(rq, s.running != nil, s.from)
	if err != nil {
		s.b.report.StoreFailed(rq, "renew a session's token", s.id, err)
	}
	if !ok {
		cookie, ok = rq.creds.SignAnew(rq, s.proof)
	}
	if ok {
		rq.creds.SetSession(cookie)
	}
}
