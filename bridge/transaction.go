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
	retry := s.b.gateway.Retry(k)
	defer retry.Stop()
	for attempt := 1; ; attempt++ {
		now, conflict, err := s.transact(ctx, k, m, fn)
		if !conflict {
			return err
		}
		if attempt == gateway.MaxAttempts {
			return ErrConflict
		}
		if err := s.goOn(ctx, k, &retry, now); err != nil {
			return err
		}
		s.b.stats.reruns.Add(1)
		m = new(mark)
	}
}

// transact is one attempt of run. After a conflict it returns what was stored by then.
func (s *Session) transact(ctx context.Context, k *gateway.Lock, m *mark, fn func(context.Context, *Session) error) (now store.Record, conflict bool, err error) {
	s.begin(ctx, k, m)
	defer m.end()
	returned := false
	defer func() { now, conflict, err = s.finish(m, returned, err) }()
	err = fn(m, s)
	returned = true
	return now, false, err
}

// goOn puts s on what another attempt starts from. It may have to wait for that, so nothing is locked meanwhile.
func (s *Session) goOn(ctx context.Context, k *gateway.Lock, retry *gateway.Retry, now store.Record) error {
	now, err := retry.After(ctx, now)
	s.lock()
	defer s.unlockInto(k.Later())
	switch {
	case errors.Is(err, ErrSessionMissing):
		return s.stored(false, ErrSessionGone)
	case err != nil:
		return err
	}
	return s.renew(now)
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

// finish stores what fn has changed, or undoes it if fn panicked or failed. A conflict has stored nothing: now is what it was with.
func (s *Session) finish(m *mark, returned bool, err error) (now store.Record, conflict bool, _ error) {
	s.lock()
	defer s.unlockInto(m.lock.Later())
	s.running = nil
	if s.locked() {
		s.restore(m.back)
		s.ending = ""
		return now, false, cmp.Or(err, ErrTokenRotated)
	}
	if s.ending != "" { // counts, whatever fn said
		return now, false, errors.Join(err, s.destroy(m.Context))
	}
	switch {
	case returned && err == nil && m.cutOff:
		err = cmp.Or(context.Cause(m.Context), ErrSessionClosed)
	case returned && err == nil && s.lost && !s.ended: // its request is over, and fn was told so by the log only
		err = ErrSessionClosed
	}
	if !returned || err != nil {
		s.restore(m.back)
		return now, false, err
	}
	if !s.draft.Changed() {
		return now, false, nil
	}
	if err = s.mayStore(m.Context); err == nil {
		now, err = s.commitExact(m.Context, m.lock)
	}
	if err == nil {
		return now, false, nil
	}
	s.restore(m.back)
	return now, errors.Is(err, store.ErrConflict), err
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

// renew puts s on another state of the session, if s may work on it.
func (s *Session) renew(rec store.Record) error {
	if s.locked() && rec.TokenHash == s.replaced.TokenHash {
		s.replaced = &rec
		return s.hide()
	}
	if s.draft.Cut(&rec) {
		return s.supersede(rec)
	}
	return s.draft.Rebase(rec)
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
