package registry

import (
	"time"

	"github.com/sessionbridge/sessionbridge/store"
)

// activity is a session's last recorded activity, and whether later activity is being recorded.
type activity struct {
	idle      time.Duration // the session's idle timeout
	seen      time.Time     // the last activity that is known to be recorded
	recording bool          // a later one is being recorded
	last      int64         // the last activity of a connection, in Unix nanoseconds; 0: none
}

// ClaimActivity reports whether activity at now of the session that the connection has, if any, is
// to be recorded, and by the caller: what is recorded is older than the interval, or than a tenth
// of the session's idle timeout, and no other caller records it. The caller calls Recorded when it
// is done.
func (r *Registry[L]) ClaimActivity(e *Entry, now time.Time, interval time.Duration) (id string, claimed bool) {
	defer r.mu.RLock(e.ID).RUnlock()
	s := r.bySession[e.session()]
	if s == nil {
		return "", false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a := &s.activity
	if a.last = now.UnixNano(); a.recording {
		return "", false
	}
	if a.idle > 0 {
		interval = min(interval, a.idle/10)
	}
	a.recording = now.Sub(a.seen) >= interval
	return e.session(), a.recording
}

// ActiveSince calls each with the sessions whose connections have been active at or after since,
// and when, whether or not that is recorded. each must not block and not call the Registry.
func (r *Registry[L]) ActiveSince(since time.Time, each func(sessionID string, at time.Time)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, s := range r.bySession {
		if last := s.activity.last; last != 0 && !time.Unix(0, last).Before(since) {
			each(id, time.Unix(0, last))
		}
	}
}

// Recorded ends what ClaimActivity began. A nil rec says that it failed.
func (r *Registry[L]) Recorded(id string, rec *store.Record) {
	defer r.mu.RLock(id).RUnlock()
	s := r.bySession[id]
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.activity.recording = false
	if rec != nil {
		r.know(s, rec)
	}
}

// know takes over the session's times from a record. It returns the login of Config.Device. The
// lock is held.
func (r *Registry[L]) know(s *session[L], rec *store.Record) (device uint64) {
	s.activity.idle, s.look.expires = rec.Idle, rec.Expires
	if rec.Seen.After(s.activity.seen) {
		s.activity.seen = rec.Seen
	}
	device, over := r.cfg.Device(rec)
	if device != 0 && (s.look.expires.IsZero() || over.Before(s.look.expires)) {
		s.look.expires = over
	}
	return device
}
