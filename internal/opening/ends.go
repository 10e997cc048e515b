package opening

import (
	"sync"
	"time"

	"github.com/sessionbridge/sessionbridge/store"
)

// rememberedEnds is how many ends of sessions a process remembers.
const rememberedEnds = 4096

// ends remembers when this process ended the last sessions, for the requests that were under way at
// that time: such a request came with what was a session's cookie, and gets gateway.ErrGone instead
// of a new session, whose cookie would replace what the browser has got since. When others ended a
// session isn't known to the moment, and a request that came after the end is to get a new one:
// there MayCreate alone decides.
type ends struct {
	mu   sync.Mutex
	at   map[string]time.Time
	ring []string
	next int
}

// add notes that the session ends now.
func (e *ends) add(id string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.at == nil {
		e.at = make(map[string]time.Time)
	}
	if _, known := e.at[id]; known {
		return
	}
	e.at[id] = time.Now()
	if len(e.ring) < rememberedEnds {
		e.ring = append(e.ring, id)
		return
	}
	delete(e.at, e.ring[e.next])
	e.ring[e.next] = id
	e.next = (e.next + 1) % rememberedEnds
}

// since reports whether the session is known to have ended after that time.
func (e *ends) since(id string, began time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	at, known := e.at[id]
	return known && at.After(began)
}

// endedMeanwhile reports whether the session, which is missing, was alive when the request began. A
// record that has expired says so itself.
func (x *Exchange) endedMeanwhile(id string, rec *store.Record) bool {
	if rec.ID == id && !rec.Expires.IsZero() {
		return rec.Expires.After(x.began)
	}
	return x.o.ends.since(id, x.began)
}
