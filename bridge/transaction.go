package bridge

import (
	"cmp"
	"context"
	"errors"

	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/store"
)

// run runs fn on s, whose state is fresh and whose outer lock, k, is held, and stores what it changed. On a conflict with somebody who
// doesn't take that lock it starts again from what is stored then. m is the mark of the first attempt.
func (s *Session) run(ctx context.Context, k *gateway.Lock, m *mark, fn func(context.Context, *Session) error) error {
	luck := s.b.gateway.Again(s.id)
	defer luck.Stop()
	for attempt := range gateway.MaxAttempts {
		if attempt > 0 {
			m = new(mark)
		}
		again, err := s.transact(ctx, k, m, &luck, fn)
		if !again {
			return err
		}
		s.b.stats.reruns.Add(1)
	}
	return ErrConflict
}

// transact is one attempt of run.
func (s *Session) transact(ctx context.Context, k *gateway.Lock, m *mark, luck *gateway.Again, fn func(context.Context, *Session) error) (again bool, err error) {
	s.begin(ctx, k, m)
	defer m.end()
	returned := false
	defer func() { again, err = s.finish(m, luck, returned, err) }()
	err = fn(m, s)
	returned = true
	return false, err
}

// begin notes that fn runs, and what to go back to if it fails.
func (s *Session) begin(ctx context.Context, k *gateway.Lock, m *mark) {
	s.lock()
	defer s.unlock()
	m.Context, m.session, m.lock = ctx, s, k
	if s.draft.Changed() {
		back := s.draft.Savepoint()
		m.back = &back
	}
	s.running, s.lost = m, false
}

// finish stores what fn has changed, or undoes it if fn panicked or failed.
func (s *Session) finish(m *mark, luck *gateway.Again, returned bool, err error) (again bool, _ error) {
	s.lock()
	defer s.unlock()
	s.running = nil
	if s.locked() {
		s.restore(m.back)
		s.ending = ""
		return false, cmp.Or(err, ErrTokenRotated)
	}
	if s.ending != "" { // counts, whatever fn said
		return false, errors.Join(err, s.destroy(m.Context))
	}
	switch {
	case returned && err == nil && m.cutOff:
		err = cmp.Or(context.Cause(m.Context), ErrSessionClosed)
	case returned && err == nil && s.lost && !s.ended: // its request is over, and fn was told so by the log only
		err = ErrSessionClosed
	}
	if !returned || err != nil {
		s.restore(m.back)
		return false, err
	}
	if !s.draft.Changed() {
		return false, nil
	}
	var now store.Record
	if err = s.mayStore(m.Context); err == nil {
		now, err = s.commitExact(m.Context, m.lock)
	}
	if err == nil {
		return false, nil
	}
	s.restore(m.back)
	if !errors.Is(err, store.ErrConflict) {
		return false, err
	}
	switch now, err = luck.After(m.Context, now); {
	case errors.Is(err, ErrSessionMissing):
		return false, s.stored(false, ErrSessionGone)
	case err != nil:
		return false, err
	}
	return s.renew(now)
}

// restore undoes all changes but those of back; nil has none.
func (s *Session) restore(back *gateway.Draft) {
	if back == nil {
		s.draft.Discard()
	} else {
		s.draft.Restore(back)
	}
	if s.locked() { // the login that had opened it is undone
		_ = s.hide()
	}
}

// renew puts s on another state of the session. It reports whether s may work on it.
func (s *Session) renew(rec store.Record) (bool, error) {
	if s.locked() && rec.TokenHash == s.replaced.TokenHash {
		s.replaced = &rec
		return true, s.hide()
	}
	if s.draft.Cut(&rec) {
		return false, ErrTokenRotated
	}
	if err := s.draft.Rebase(rec); err != nil {
		return false, err
	}
	return true, nil
}

// runInside runs fn within another function of WithSession on the same session. If it fails, what it changed is undone, and
// nothing else; but not what has been stored since, because a response began.
func (s *Session) runInside(ctx context.Context, fn func(context.Context, *Session) error) (err error) {
	s.lock()
	savepoint, stores := s.draft.Savepoint(), s.stores
	s.unlock()
	returned := false
	defer func() {
		s.lock()
		defer s.unlock()
		if returned && err == nil {
			if s.sealed && !s.ended { // the outer function has returned meanwhile
				err = ErrSessionClosed
			}
			return
		}
		back := &savepoint
		if s.stores != stores {
			back = nil
		}
		s.restore(back)
	}()
	err = fn(ctx, s)
	returned = true
	return err
}
