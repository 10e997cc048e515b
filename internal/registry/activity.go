package registry

import (
	"time"

	"github.com/sessionbridge/sessionbridge/store"
)

// activity is what is known of a session's.
type activity struct {
	idle      time.Duration // the session's idle timeout
	seen      time.Time     // the last activity that is known to be recorded
	recording bool          // a later one is being recorded
}

// ClaimActivity reports whether activity of the session at now is to be recorded, and by the caller:
// what is recorded is older than the interval, or than a tenth of the session's idle timeout, and
// nobody else is at it. The caller calls Recorded when it is done.
func (r *Registry[L]) ClaimActivity(id string, now time.Time, interval time.Duration) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.bySession[id]
	if s == nil || s.activity.recording {
		return false
	}
	a := &s.activity
	if a.idle > 0 {
		interval = min(interval, a.idle/10)
	}
	a.recording = now.Sub(a.seen) >= interval
	return a.recording
}

// Recorded ends what ClaimActivity began. A nil rec says that it failed.
func (r *Registry[L]) Recorded(id string, rec *store.Record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.bySession[id]
	if s == nil {
		return
	}
	s.activity.recording = false
	if rec != nil {
		s.know(rec)
	}
}

// know takes over what a record says of the session's times.
func (s *session[L]) know(rec *store.Record) {
	s.activity.idle, s.look.expires = rec.Idle, rec.Expires
	if rec.Seen.After(s.activity.seen) {
		s.activity.seen = rec.Seen
	}
}
