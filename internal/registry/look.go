package registry

import (
	"math/rand/v2"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/clock"
	"github.com/sessionbridge/sessionbridge/store"
)

const (
	revalidateRetry = 5 * time.Second  // until a look that failed is repeated, while the session's time isn't over
	expiryRetry     = time.Second      // and when it is over, or the session may have ended
	overRetry       = time.Second / 10 // until a look is repeated that hasn't ended a session whose time is over
	patience        = 30 * time.Second // for the store then, before connections are closed because of it
)

// look is when a session is to be looked at.
type look struct {
	planned *clock.Deadline // nil: none ever was
	at      int64           // for which it is planned, in Unix nanoseconds; 0: it isn't, or has begun
	expires time.Time       // when the session, or the proof of its device, is over, as last known; zero: never
	failing time.Time       // since when the store can't say whether it is alive; zero: it can, or need not
}

// Learn takes over what a record says of its session, if that has connections, and plans when to
// look at it: when it may have expired, and every RevalidateEvery besides. An earlier look stays
// planned: rec may be outdated, and an additional look is harmless.
//
// If rec has a login or a binding to a device that wasn't known, Learn returns the connections that
// it shuts out: they have proved an older token, or no device. The caller parts them from the
// session.
func (r *Registry[L]) Learn(rec *store.Record) (stale []L) {
	if r.learnTimes(rec) {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.bySession[rec.ID]
	if s == nil {
		return nil
	}
	s.look.failing = time.Time{}
	stale = r.shutOut(s, rec)
	if rec.Revision >= s.revision { // otherwise a login may have been stored since it was loaded
		s.revision = rec.Revision
		r.setUser(s, rec.UserID)
	}
	r.plan(rec.ID, s, s.look.expires)
	return stale
}

// learnTimes is Learn for a record that changes neither who is shut out nor who the user is, as most
// don't; false for another one.
func (r *Registry[L]) learnTimes(rec *store.Record) (learned bool) {
	defer r.mu.RLock(rec.ID).RUnlock()
	s := r.bySession[rec.ID]
	if s == nil {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	device, _ := r.cfg.Device(rec)
	if rec.LoginGeneration > s.login || device > s.device || rec.Revision >= s.revision && rec.UserID != s.userID {
		return false
	}
	s.look.failing = time.Time{}
	r.know(s, rec)
	s.revision = max(s.revision, rec.Revision)
	if s.look.at == 0 || !s.look.expires.IsZero() && s.look.at > s.look.expires.UnixNano() {
		r.plan(rec.ID, s, s.look.expires) // otherwise one is planned that is early enough
	}
	return true
}

// plan plans the next look at a session that expires then; the zero time is never. A look that is
// planned for an earlier time stays. The lock is held.
func (r *Registry[L]) plan(id string, s *session[L], expires time.Time) {
	planned, isPlanned := r.cfg.Clock.When(s.look.planned)
	at := expires
	if every := r.cfg.RevalidateEvery; every > 0 && !isPlanned {
		if next := time.Now().Add(jitter(every)); at.IsZero() || next.Before(at) {
			at = next
		}
	}
	if at.IsZero() || isPlanned && !planned.After(at) {
		return
	}
	if looked := s.look.planned != nil && !isPlanned; looked {
		if now := time.Now(); !at.After(now) { // without a pause, looks would follow one another
			at = now.Add(overRetry)
		}
	}
	r.schedule(id, s, at)
}

// jitter returns a time between half of d and d. It spreads the looks at sessions that came
// together, or whose looks failed together.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d-d/2) }

// schedule plans a look. The lock is held.
func (r *Registry[L]) schedule(id string, s *session[L], at time.Time) {
	s.look.at = at.UnixNano()
	if s.look.planned == nil {
		s.look.planned = r.cfg.Clock.Add(at, func() {
			r.begun(id, s)
			r.cfg.Look(id)
		})
		return
	}
	r.cfg.Clock.Move(s.look.planned, at)
}

// begun notes that the planned look at a session begins.
func (r *Registry[L]) begun(id string, s *session[L]) {
	defer r.mu.RLock(id).RUnlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.look.at = 0
}

// Suspect notes that the session may have ended: its connections are given up if the store can't
// confirm it for long.
func (r *Registry[L]) Suspect(id string, since time.Time) {
	defer r.mu.RLock(id).RUnlock()
	if s := r.bySession[id]; s != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.look.failing.IsZero() {
			s.look.failing = since
		}
	}
}

// SuspectAll is Suspect for all sessions.
func (r *Registry[L]) SuspectAll(since time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.bySession {
		if s.look.failing.IsZero() {
			s.look.failing = since
		}
	}
}

// Retry has a session looked at again after a look that failed. A session that may have ended, or
// whose time is over, is given up when the store has failed for half a minute: Retry returns its
// connections then, which are to be closed. Others keep theirs however long the store is away.
func (r *Registry[L]) Retry(id string) (giveUp []L) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.bySession[id]
	if s == nil {
		return nil
	}
	now := time.Now()
	expires := s.look.expires
	if s.look.failing.IsZero() && (expires.IsZero() || now.Before(expires)) {
		at := now.Add(jitter(revalidateRetry))
		if !expires.IsZero() && expires.Before(at) {
			at = expires
		}
		r.schedule(id, s, at)
		return nil
	}
	if s.look.failing.IsZero() {
		s.look.failing = now
	}
	r.schedule(id, s, now.Add(jitter(expiryRetry)))
	if now.Sub(s.look.failing) < patience {
		return nil
	}
	return append([]L(nil), s.members...)
}
