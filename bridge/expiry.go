package bridge

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/sessionbridge/sessionbridge/store"
)

const (
	expiryRetry    = time.Second      // after a look at the store that failed
	expiryPatience = 30 * time.Second // for the store, before connections are closed because of it
)

// watch has the session looked at when it may have expired, and now and then besides, as long as it has links. A look that is planned for an earlier time stays:
// rec may be older than what made it so, and a look too many does no harm.
//
// If rec tells of a login that this process didn't know of, the links that it shuts out are parted from the session.
func (ls *links) watch(b *Bridge, rec *store.Record) {
	for _, l := range ls.learn(b, rec) {
		l.cutOff()
	}
}

// learn is watch, and returns the links that a login has shut out.
func (ls *links) learn(b *Bridge, rec *store.Record) (stale []*Link) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	sl := ls.bySession[rec.ID]
	if sl == nil {
		return nil
	}
	if rec.LoginGeneration > sl.login {
		sl.login = rec.LoginGeneration
		stale = sl.stale(rec)
	}
	sl.failing = time.Time{}
	sl.know(rec)
	if rec.Revision >= sl.revision { // otherwise a login may have been stored since it was loaded
		sl.revision = rec.Revision
		ls.setUser(sl, rec.UserID)
	}
	if at := ls.nextLook(b, sl, rec); !at.IsZero() && (sl.expiry == nil || ls.clock.Later(sl.expiry, at)) {
		ls.schedule(b, rec.ID, sl, at)
	}
	return stale
}

// schedule needs the lock.
func (ls *links) schedule(b *Bridge, id string, sl *sessionLinks, at time.Time) {
	if sl.expiry == nil {
		sl.expiry = ls.clock.Add(at, func() { b.pools.background.Go(func() { b.lookExpired(id) }) })
		return
	}
	ls.clock.Move(sl.expiry, at)
}

// lookExpired looks whether a session with links is over, or has shut some of them out. Loading it ends it if it has expired; activity since has moved
// its deadline if not.
func (b *Bridge) lookExpired(id string) {
	if b.hopeless() {
		return
	}
	rec, err := b.gateway.Load(context.Background(), id)
	switch {
	case err == nil:
		b.links.watch(b, &rec)
		b.clients.SetDue(id, rec.Expires)
		b.noticeLogin(context.Background(), &rec)
	case errors.Is(err, ErrSessionMissing):
		b.doubt(id, b.forget(context.Background(), id, nil))
	default:
		b.lookAgain(id, err)
	}
}

// doubt has the session looked at again when the store could not say whether it is alive. It gives its connections up when that
// takes too long.
func (b *Bridge) doubt(id string, err error) {
	if err == nil {
		return
	}
	b.links.suspect(id, time.Now())
	b.lookAgain(id, err)
}

// lookAgain is doubt, but a session whose time isn't over, and that nobody has reason to doubt, keeps its connections however long the store is away.
func (b *Bridge) lookAgain(id string, err error) {
	b.storeFailed(context.Background(), "find out whether a session is alive", id, err)
	for _, l := range b.links.retryExpiry(b, id, time.Now()) {
		l.end(CodeUnavailable, "session store unavailable")
	}
}

// retryExpiry has the session looked at again, or returns its links when the store has failed for too long.
func (ls *links) retryExpiry(b *Bridge, id string, now time.Time) []*Link {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	sl := ls.bySession[id]
	if sl == nil {
		return nil
	}
	if sl.failing.IsZero() && (sl.expires.IsZero() || now.Before(sl.expires)) {
		ls.schedule(b, id, sl, retryLook(now, sl))
		return nil
	}
	if sl.failing.IsZero() {
		sl.failing = now
	}
	ls.schedule(b, id, sl, now.Add(expiryRetry/2+rand.N(expiryRetry/2))) // as many others may be
	if now.Sub(sl.failing) < expiryPatience {
		return nil
	}
	return append([]*Link(nil), sl.links...)
}
