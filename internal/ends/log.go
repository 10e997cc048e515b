package ends

import (
	"sync"
	"time"
)

// End is when and why a session has ended.
type End struct {
	At     time.Time
	Reason string // the caller's
}

// Log remembers ends. It is safe for concurrent use. Make it with New.
type Log struct {
	keep time.Duration
	max  int

	mu   sync.Mutex
	byID map[string]End
	ring []string // the IDs; from next on, around the end, the oldest first
	next int
}

// New returns a Log that remembers an end for the given time, unless max others have come since.
func New(keep time.Duration, max int) *Log {
	return &Log{keep: keep, max: max, byID: make(map[string]End)}
}

// Add remembers that the session ends now. A session ends once: if its end is known nothing
// changes.
func (l *Log) Add(id, reason string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, known := l.byID[id]; known {
		return
	}
	l.byID[id] = End{time.Now(), reason}
	if len(l.ring) < l.max {
		l.ring = append(l.ring, id)
		return
	}
	delete(l.byID, l.ring[l.next])
	l.ring[l.next] = id
	l.next = (l.next + 1) % l.max
}

// Find returns the end of the session. ok is false if it isn't known, or no longer.
func (l *Log) Find(id string) (e End, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e, ok = l.byID[id]
	if !ok || time.Since(e.At) >= l.keep {
		return End{}, false
	}
	return e, true
}
