package bridge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/errorcodes"
	"github.com/sessionbridge/sessionbridge/internal/gateway"
	"github.com/sessionbridge/sessionbridge/internal/registry"
	"github.com/sessionbridge/sessionbridge/store"
)

// The functions of WithSession.
type (
	sessionFunc = func(ctx context.Context, s *Session) error
	missingFunc = func(ctx context.Context) error
)

// txContext is the context of a running function of WithSession. By it, a nested WithSession
// recognizes that it is nested, until the function returns.
type txContext struct {
	context.Context
	session *Session
	done    atomic.Bool // the function has returned

	// Guarded by the session's lock.
	lock      *gateway.Lock  // the session's, whose outer lock is held
	savepoint *gateway.Draft // to restore if the function fails; nil: a draft without changes
	aborted   bool           // a commit that came first has discarded the changes
	lost      bool           // a change came after the Session's last commit
}

type txKey struct{ b *Bridge }

// Value implements context.Context.
func (tx *txContext) Value(key any) any {
	if k, ok := key.(txKey); ok && k.b == tx.session.b && !tx.done.Load() {
		return tx
	}
	return tx.Context.Value(key)
}

// String and Format print the context without its values.
func (tx *txContext) String() string { return "bridge.WithSession" }

func (tx *txContext) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, tx.String()) }

// inside returns the Session of the function of WithSession that ctx belongs to, nil for none, and
// ErrNested if it is another session than id.
func (b *Bridge) inside(ctx context.Context, id string) (*Session, error) {
	tx, _ := ctx.Value(txKey{b}).(*txContext)
	switch {
	case tx == nil:
		return nil, nil
	case tx.session.ID() != id:
		return nil, ErrNested
	}
	return tx.session, nil
}

// withSessionID runs fn on the session with the ID. With active that is activity, even if fn
// changes nothing. ran reports whether fn has been called.
func (b *Bridge) withSessionID(
	ctx context.Context, id string, proved uint64, from *origin, active bool, fn sessionFunc,
) (ran bool, err error) {
	k := b.gateway.Acquire(id)
	defer k.Release()
	if err := k.Lock(ctx); err != nil {
		return false, err
	}
	defer k.Unlock()
	all := &struct { // in one allocation
		session Session
		state   sessionState
		tx      txContext
		room    gateway.Room
	}{}
	s := &all.session
	s.sessionState = &all.state
	s.draft.Use(&all.room)
	rec := s.draft.Base()
	var now time.Time
	if b.opts.CachedReads && from.link != nil && !b.cluster.Frozen() { // the cache doesn't notice a silent store
		now, err = b.gateway.LoadCachedInto(ctx, id, b.links.RevisionOf(id), rec, &all.room, k.Later())
	} else {
		now, err = b.gateway.LoadInto(ctx, id, rec, &all.room, k.Later())
	}
	if err != nil {
		return false, err
	}
	if registry.ShutOut(proved, rec.LoginGeneration) {
		if from.link != nil {
			b.tracker.Unlink(from.link) // the login was on another node; one on this node has unlinked it already
		}
		return false, errorcodes.ErrCutOff
	}
	activeAt := now
	if !active {
		activeAt = time.Time{}
	}
	b.clients.CountRead(id, activeAt)
	if active {
		if err := b.gateway.Touch(ctx, k, rec, now); err != nil {
			return false, err
		}
	}
	if err := s.init(b, from); err != nil {
		return false, err
	}
	s.draft.Prove(proved)
	defer s.seal()
	return true, s.run(ctx, k, &all.tx, fn)
}

// run runs fn on s, which has just been loaded, and stores its changes. After a conflict with a
// writer that doesn't take the outer lock, it runs fn again on the newer record. The outer lock of
// k is held. tx is for the first attempt.
func (s *Session) run(ctx context.Context, k *gateway.Lock, tx *txContext, fn sessionFunc) error {
	retry := s.b.gateway.Retry(k)
	defer retry.Stop()
	for attempt := 1; ; attempt++ {
		won, err := s.transact(ctx, k, tx, fn)
		if won == nil {
			return err
		}
		if attempt == gateway.MaxAttempts {
			return ErrConflict
		}
		now, err := retry.After(ctx, *won)
		if err := s.rebase(now, err, k.Later()); err != nil {
			return err
		}
		s.b.stats.reruns.Add(1)
		tx = new(txContext)
	}
}

// transact is one attempt of run. After a conflict it returns the stored record, and otherwise nil.
func (s *Session) transact(ctx context.Context, k *gateway.Lock, tx *txContext, fn sessionFunc) (
	won *store.Record, err error,
) {
	s.lock()
	tx.Context, tx.session, tx.lock = ctx, s, k
	if s.draft.Changed() {
		savepoint := s.draft.Savepoint()
		tx.savepoint = &savepoint
	}
	s.running = tx
	s.unlock()
	defer tx.done.Store(true)
	returned, locked := false, false
	defer func() { won, err = s.finish(tx, returned, locked, err) }()
	if err = fn(tx, s); err == nil {
		err = s.review(tx, false, s.callBeforeCommit)
		locked = true
	}
	returned = true
	return nil, err
}

// finish stores the changes of the function, or undoes them if it has panicked or returned err.
// After a conflict nothing is stored, and won is the stored record. locked reports whether the lock
// is held.
func (s *Session) finish(tx *txContext, returned, locked bool, err error) (won *store.Record, _ error) {
	if !locked {
		s.lock()
	}
	defer s.unlockInto(tx.lock.Later())
	s.running = nil
	if s.proof.Locked() {
		s.restore(tx.savepoint)
		s.ending = ""
		return nil, cmp.Or(err, ErrTokenRotated)
	}
	if s.ending != "" { // also if the function has failed
		return nil, errors.Join(err, s.destroy(tx.Context))
	}
	switch {
	case !returned || err != nil:
	case tx.aborted:
		err = cmp.Or(context.Cause(tx.Context), ErrSessionClosed)
	case tx.lost && !s.overHere(): // the request has ended; until now only the log has reported the loss
		err = ErrSessionClosed
	case s.draft.Changed():
		if err = s.mayStore(tx.Context); err == nil {
			won, err = s.commitExact(tx.Context, tx.lock)
		}
	}
	if !returned || err != nil {
		s.restore(tx.savepoint)
	}
	return won, err
}

// restore undoes all changes since the savepoint; nil stands for a draft without changes.
func (s *Session) restore(savepoint *gateway.Draft) {
	s.changes++
	s.proof.Restore(&s.draft, savepoint)
}

// runInside runs fn within another function of WithSession on the same session. If fn fails, only
// its own changes are undone, unless the response has begun meanwhile and they are stored.
func (s *Session) runInside(ctx context.Context, fn sessionFunc) (err error) {
	s.lock()
	savepoint, stores := s.draft.Savepoint(), s.stores
	s.unlock()
	returned := false
	defer func() {
		s.lock()
		defer s.unlock()
		switch {
		case returned && err == nil:
			if s.sealed && !s.overHere() { // the outer function has returned meanwhile
				err = ErrSessionClosed
			}
		case s.stores == stores:
			s.restore(&savepoint)
		default:
			s.restore(nil)
		}
	}()
	err = fn(ctx, s)
	returned = true
	return err
}

// refresh rebases s on the stored record. Of the locks, only the session's outer lock may be held;
// the caller runs later when it holds none.
func (s *Session) refresh(ctx context.Context, later *gateway.Later) error {
	stored, err := s.refreshable()
	if !stored || err != nil {
		return err
	}
	rec, _, err := s.b.gateway.LoadAt(ctx, s.id, later)
	if err == nil {
		s.b.clients.CountRead(rec.ID, time.Time{})
	}
	return s.rebase(rec, err, later)
}

// refreshable reports whether there is a stored record that s may read, and returns the error of a
// Session on which no function can run.
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

// rebase applies the changes of s to another record of the session, if s may change it. rec and err
// are the results of loading the record.
func (s *Session) rebase(rec store.Record, err error, later *gateway.Later) error {
	s.lock()
	defer s.unlockInto(later)
	switch {
	case errors.Is(err, ErrSessionMissing):
		return s.stored(false, ErrSessionGone)
	case err != nil:
		return err
	case s.draft.Base().Revision > rec.Revision: // another goroutine of the request has stored a newer one
		return nil
	}
	return s.proof.Rebase(&s.draft, rec, func(rec *store.Record) bool {
		rq := s.from.request
		return !rq.headersSent() && rq.creds.Owns(rec)
	})
}
