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
}

// ClaimActivity reports whether activity at now of the session that the connection has, if any, is
// to be recorded, and by the caller: what is recorded is older than the interval, or than a tenth
// of the session's idle timeout, and no other caller records it. The caller calls Recorded when it
// is done.
func (r *Registry[L]) ClaimActivity(e *Entry, now time.Time, interval time.Duration) (id string, claimed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.bySession[e.sessionID]
	if s == nil || s.activity.recording {
		return "", false
	}
	a := &s.activity
	if a.idle > 0 {
		interval = min(interval, a.idle/10)
	}
	a.recording = now.Sub(a.seen) >= interval
	return e.sessionID, a.recording
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
