package bridge

import (
	"context"
	"errors"

	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/store"
)

// commit stores what has changed, merged key by key into what is stored by now. While a function of WithSession runs on the
// Session, its changes so far are stored if the session is still as the function saw it.
func (s *Session) commit(ctx context.Context) error {
	s.lock()
	defer s.unlock()
	if s.ending != "" {
		return s.destroy(ctx)
	}
	if s.sealed || !s.draft.Changed() {
		return nil
	}
	if err := s.mayStore(); err != nil {
		return err
	}
	if s.running == nil {
		cookie := s.needsCookie()
		return s.stored(cookie, s.b.gateway.Commit(ctx, &s.draft, &s.from))
	}
	_, err := s.commitExact(ctx, s.running)
	if errors.Is(err, store.ErrConflict) {
		return ErrConflict
	}
	return err
}

// commitExact stores what has changed if the session is still as s has it.
func (s *Session) commitExact(ctx context.Context, k *gateway.Lock) (store.Record, error) {
	cookie := s.needsCookie()
	rec, err := s.b.gateway.CommitExact(ctx, k, &s.draft, &s.from)
	return rec, s.stored(cookie, err)
}

// needsCookie reports whether the commit of the draft gives the session a token that the browser doesn't have.
func (s *Session) needsCookie() bool {
	return s.from.request != nil && (s.draft.Base().Revision == 0 || s.draft.ReplacesToken())
}

// mayStore says why a change can't be stored, before the store is asked.
func (s *Session) mayStore() error {
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
	}
	return nil
}

// stored draws the consequences of a commit, which returned err.
func (s *Session) stored(cookie bool, err error) error {
	rq := s.from.request
	switch {
	case errors.Is(err, ErrSessionGone):
		s.gone = true
		if rq != nil {
			rq.removeCookie()
		}
	case err == nil && cookie:
		base := s.draft.Base()
		s.proved = base.TokenGeneration
		s.draft.Prove(s.proved)
		rq.setCookie(credentials{base.ID, s.nextToken}, base.Lifetime)
	}
	return err
}

// destroy does what Destroy asked for.
func (s *Session) destroy(ctx context.Context) error {
	s.from.reason = s.ending
	if base := s.draft.Base(); base.Revision != 0 && !s.gone {
		if _, err := s.b.gateway.Destroy(context.WithoutCancel(ctx), base.ID, base.ClientID, &s.from); err != nil {
			return err // Destroy stays asked for
		}
	}
	s.ending, s.ended, s.sealed = "", true, true
	if s.from.request != nil {
		s.from.request.removeCookie()
	}
	return nil
}

// run runs fn on s, whose state is fresh and whose outer lock, k, is held, and stores what it changed. On a conflict with somebody who
// doesn't take that lock it starts again from what is stored then.
func (s *Session) run(ctx context.Context, k *gateway.Lock, fn func(context.Context, *Session) error) error {
	for attempt := range gateway.MaxAttempts {
		gateway.Backoff(attempt)
		again, err := s.transact(ctx, k, fn)
		if !again {
			return err
		}
		s.b.stats.reruns.Add(1)
	}
	return ErrConflict
}

// transact is one attempt of run.
func (s *Session) transact(ctx context.Context, k *gateway.Lock, fn func(context.Context, *Session) error) (again bool, err error) {
	back := s.begin(k)
	returned := false
	defer func() {
		s.lock()
		defer s.unlock()
		s.running = nil
		if s.ending != "" { // counts, whatever fn said
			if e := s.destroy(ctx); err == nil {
				err = e
			}
			again = false
			return
		}
		if returned && err == nil && s.lost && !s.ended { // its request is over, and fn was told so by the log only
			err = ErrSessionClosed
		}
		if !returned || err != nil { // fn panicked or failed
			s.restore(back)
			return
		}
		if !s.draft.Changed() {
			return
		}
		var now store.Record
		if err = s.mayStore(); err == nil {
			now, err = s.commitExact(ctx, k)
		}
		if err == nil {
			return
		}
		s.restore(back)
		if errors.Is(err, store.ErrConflict) {
			again, err = s.renew(now)
		}
	}()
	m := newMark(ctx, s)
	defer m.end()
	err = fn(m, s)
	returned = true
	return false, err
}

// begin notes that fn runs, and returns what to go back to if it fails: nil for the state without changes.
func (s *Session) begin(k *gateway.Lock) *gateway.Draft {
	s.lock()
	defer s.unlock()
	s.running, s.lost = k, false
	if !s.draft.Changed() {
		return nil
	}
	back := s.draft.Savepoint()
	return &back
}

func (s *Session) restore(back *gateway.Draft) {
	if back == nil {
		s.draft.Discard()
	} else {
		s.draft.Restore(back)
	}
}

// renew puts s on another state of the session. It reports whether s may work on it.
func (s *Session) renew(rec store.Record) (bool, error) {
	if s.draft.Cut(&rec) {
		return false, ErrTokenRotated
	}
	if err := s.draft.Rebase(rec); err != nil {
		return false, err
	}
	return true, nil
}

// runInside runs fn within another function of WithSession on the same session. If it fails, what it changed is undone, and
// nothing else.
func (s *Session) runInside(ctx context.Context, fn func(context.Context, *Session) error) (err error) {
	s.lock()
	back := s.draft.Savepoint()
	s.unlock()
	returned := false
	defer func() {
		if !returned || err != nil {
			s.lock()
			defer s.unlock()
			s.draft.Restore(&back)
		}
	}()
	err = fn(ctx, s)
	returned = true
	return err
}
