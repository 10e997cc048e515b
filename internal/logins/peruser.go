package logins

import (
	"context"
	"fmt"
	"slices"

	"github.com/sessionbridge/sessionbridge/internal/ctxlock"
	"github.com/sessionbridge/sessionbridge/store"
)

// Login calls commit, which stores the user's login to s, so that the user has no more than
// Config.PerUser sessions afterwards. A session to which the user is logged in already doesn't
// count twice. Logins of one user take turns; those of different users don't wait for one another.
//
// It returns the error of commit. Without calling commit it returns ErrTooMany or
// gateway.ErrUnavailable, both only with Config.Refuse, or the cause of ctx if that ends a wait.
func (l *Limits) Login(ctx context.Context, s Session, userID string, commit func() error) error {
	if l.cfg.PerUser <= 0 {
		return commit()
	}
	release, err := l.takeTurn(ctx, userID)
	if err != nil {
		return fmt.Errorf("bridge: wait for another login of the user: %w", err)
	}
	defer release()
	if l.cfg.Refuse {
		ids, err := l.sessionsOf(ctx, userID)
		if err != nil {
			return err
		}
		if len(ids) >= l.cfg.PerUser && !slices.Contains(ids, s.ID) {
			return fmt.Errorf("%w: %d are allowed", ErrTooMany, l.cfg.PerUser)
		}
		return commit()
	}
	if err := commit(); err != nil {
		return err
	}
	l.report(ctx, s, "end the sessions that a user has beyond Options.MaxSessionsPerUser", l.evictOf(ctx, s, userID))
	return nil
}

// sessionsOf returns the user's sessions, the last active first, whether or not ctx ends.
func (l *Limits) sessionsOf(ctx context.Context, userID string) ([]string, error) {
	return l.cfg.Gateway.SessionsOfUser(context.WithoutCancel(ctx), userID)
}

// evictOf destroys the user's sessions that were active least recently, after a login to s. If the
// user logs in through several processes, one evicts at a time, and one whose own session was
// evicted evicts none. So they don't destroy each other's sessions.
func (l *Limits) evictOf(ctx context.Context, s Session, userID string) error {
	defer l.cfg.Gateway.Lease(ctx, "logins of "+userID)()
	ids, err := l.sessionsOf(ctx, userID)
	if err != nil || len(ids) <= l.cfg.PerUser || !slices.Contains(ids, s.ID) {
		return err
	}
	others := slices.DeleteFunc(ids, func(id string) bool { return id == s.ID })
	return l.evict(ctx, s, others[l.cfg.PerUser-1:], func(rec *store.Record) bool { return rec.UserID == userID })
}

// turn is the lock of a user's logins.
type turn struct {
	lock  ctxlock.Lock
	users int // that hold it or wait for it
}

// takeTurn waits until no other login of the user is being stored, or ctx ends. It takes a free
// turn even if ctx has ended: a change that has begun is stored even if the browser hangs up.
func (l *Limits) takeTurn(ctx context.Context, userID string) (release func(), err error) {
	l.mu.Lock()
	t := l.turns[userID]
	if t == nil {
		t = &turn{}
		l.turns[userID] = t
	}
	t.users++
	l.mu.Unlock()
	leave := func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if t.users--; t.users == 0 {
			delete(l.turns, userID)
		}
	}
	if err := t.lock.LockOrWait(ctx); err != nil {
		leave()
		return nil, err
	}
	return func() { t.lock.Unlock(); leave() }, nil
}
