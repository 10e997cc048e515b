package bridge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/internal/registry"
	"github.com/sessionbridge/sessionbridge/store"
)

// run runs fn on s, whose state is fresh and whose outer lock, k, is held, and stores what it
// changed. On a conflict with somebody who doesn't take that lock it starts again from what is
// stored then. m is the mark of the first attempt.
func (s *Session) run(ctx context.Context, k *gateway.Lock, m *mark, fn sessionFunc) error {
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
func (s *Session) transact(ctx context.Context, k *gateway.Lock, m *mark, fn sessionFunc) (
	now store.Record, conflict bool, err error,
) {
	s.begin(ctx, k, m)
	defer m.end()
	returned := false
	defer func() { now, conflict, err = s.finish(m, returned, err) }()
	err = fn(m, s)
	returned = true
	return now, false, err
}

// goOn puts s on what another attempt starts from. It may have to wait for that, so nothing is
// locked meanwhile.
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
	s.running = m
}

// finish stores what fn has changed, or undoes it if fn panicked or failed. A conflict has stored
// nothing: now is what it was with.
func (s *Session) finish(m *mark, returned bool, err error) (now store.Record, conflict bool, _ error) {
	s.lock()
	defer s.unlockInto(m.lock.Later())
	s.running = nil
	if s.proof.Locked() {
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
	case returned && err == nil && m.lost && !s.overHere(): // its request is over: only the log said so
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
func (s *Session) restore(back *gateway.Draft) { s.proof.Restore(&s.draft, back) }

// renew puts s on another state of the session, if s may work on it.
func (s *Session) renew(rec store.Record) error {
	return s.proof.Rebase(&s.draft, rec, func(rec *store.Record) bool {
		rq := s.from.request
		return !rq.headersSent() && rq.creds.Owns(rec)
	})
}

// runInside runs fn within another function of WithSession on the same session. If it fails, what
// it changed is undone, and nothing else; but not what has been stored since, because a response
// began.
func (s *Session) runInside(ctx context.Context, fn sessionFunc) (err error) {
	s.lock()
	savepoint, stores := s.draft.Savepoint(), s.stores
	s.unlock()
	returned := false
	defer func() {
		s.lock()
		defer s.unlock()
		if returned && err == nil {
			if s.sealed && !s.overHere() { // the outer function has returned meanwhile
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

// mark is the context of a running function of WithSession: a WithSession that gets it, or a
// context made from it, finds out that it is inside one. It dies when the function returns.
type mark struct {
	context.Context
	session *Session
	over    atomic.Bool

	// Guarded by the session's lock.
	lock   *gateway.Lock  // the session's, whose outer lock is held
	back   *gateway.Draft // what to go back to if the function fails; nil: the state without changes
	cutOff bool           // its time was up when the response began: its changes are not stored
	lost   bool           // a change came after the Session's last commit
}

type markKey struct{ b *Bridge }

func (m *mark) end() { m.over.Store(true) }

// Value implements context.Context.
func (m *mark) Value(key any) any {
	if k, ok := key.(markKey); ok && k.b == m.session.b && !m.over.Load() {
		return m
	}
	return m.Context.Value(key)
}

// inside returns the Session that a function of WithSession is running on in ctx, nil for none;
// ErrNested when it is another session than id.
func (b *Bridge) inside(ctx context.Context, id string) (*Session, error) {
	m, _ := ctx.Value(markKey{b}).(*mark)
	switch {
	case m == nil:
		return nil, nil
	case m.session.ID() != id:
		return nil, ErrNested
	}
	return m.session, nil
}

// refresh puts s on the state that is stored now. What is to be done when no lock is held goes into
// later; of the locks only the session's outer one may be held.
func (s *Session) refresh(ctx context.Context, later *gateway.Later) error {
	stored, err := s.refreshable()
	if !stored || err != nil {
		return err
	}
	rec, _, err := s.b.gateway.LoadAt(ctx, s.id, later)
	s.lock()
	defer s.unlockInto(later)
	switch {
	case errors.Is(err, gateway.ErrMissing):
		return s.stored(false, ErrSessionGone)
	case err != nil:
		return err
	}
	s.b.clients.CountRead(rec.ID)
	if s.draft.Base().Revision > rec.Revision { // another goroutine of the request has stored something since
		return nil
	}
	return s.renew(rec)
}

// refreshable reports whether s is of a stored session, and says why nothing can run on it.
func (s *Session) refreshable() (stored bool, err error) {
	s.lock()
	defer s.unlock()
	switch {
	case s.fate != fateAlive:
		return false, ErrSessionGone
	case s.sealed:
		return false, ErrSessionClosed
	case s.proof.Locked():
		return false, nil
	}
	return s.draft.Base().Revision != 0, nil
}

// withSessionID runs fn on the session with the ID. It returns false when fn has not been run.
func (b *Bridge) withSessionID(
	ctx context.Context, id string, proved uint64, from *origin, fn func(context.Context, *Session) error,
) (ran bool, err error) {
	k := b.gateway.Acquire(id)
	defer k.Release()
	if err := k.Lock(ctx); err != nil {
		return false, err
	}
	defer k.Unlock()
	var rec store.Record
	var now time.Time
	if b.opts.CachedReads && from.link != nil && !b.cluster.Frozen() { // memory doesn't tell that the store is silent
		rec, now, err = b.gateway.LoadCachedAt(ctx, id, b.links.RevisionOf(id), k.Later())
	} else {
		rec, now, err = b.gateway.LoadAt(ctx, id, k.Later())
	}
	if err != nil {
		return false, err
	}
	if registry.ShutOut(proved, rec.LoginGeneration) {
		from.link.unlink() // by a login on another node; one on this node has done it
		return false, errCutOff
	}
	b.clients.CountRead(id)
	if from.via == ViaSocket {
		if err := b.gateway.Touch(ctx, k, &rec, now); err != nil {
			return false, err
		}
	}
	var all struct { // in one allocation
		session Session
		state   sessionState
		mark    mark
	}
	s := &all.session
	s.sessionState = &all.state
	if err := s.init(b, rec, from); err != nil {
		return false, err
	}
	s.draft.Prove(proved)
	defer s.seal()
	return true, s.run(ctx, k, &all.mark, fn)
}

func (m *mark) String() string { return "bridge.WithSession" }

func (m *mark) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, m.String()) }

// The functions of WithSession.
type (
	sessionFunc = func(ctx context.Context, s *Session) error
	missingFunc = func(ctx context.Context) error
)

func missing(ctx context.Context, onMissing missingFunc) error {
	if onMissing == nil {
		return ErrSessionMissing
	}
	return onMissing(ctx)
}
