package clientmap

import (
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/widelock"
)

// Map maps clients to sessions and sessions to clients. It is safe for concurrent use. Make it with
// New.
type Map struct {
	mu        widelock.Lock
	byClient  map[string]string   // client ID → the newest session ID
	bySession map[string]*session // by session ID
	ring      ring
}

// session is an entry. The map's lock guards it, except for its atomic fields.
type session struct {
	id       string
	clientID string
	userID   string        // of the last known login
	login    uint64        // the generation of that login; 0: none
	place    int           // in the ring
	passed   uint64        // reads when the ring's hand passed it last
	dueAt    atomic.Int64  // Unix seconds; 0: never
	reads    atomic.Uint64 // how often it has been loaded for use
	activeAt atomic.Int64  // Unix milliseconds of the last known activity; 0: none
}

// New returns a Map that holds up to limit sessions, and then drops one that has not been used for
// long; 0 is no limit. It drops no session for which busy returns true. busy is called under the
// map's lock: it must neither block nor call the Map.
func New(limit int, busy func(sessionID string) bool) *Map {
	return &Map{
		byClient:  make(map[string]string),
		bySession: make(map[string]*session),
		ring:      newRing(limit, busy),
	}
}

// Attach maps the client and the session to each other. It reports whether the session was not in
// the map before. The session becomes the client's newest if newest is true or the client has no
// other.
func (m *Map) Attach(clientID, sessionID string, newest bool) (added bool) {
	if m.holds(clientID, sessionID, newest) {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	known := m.bySession[sessionID]
	if known == nil {
		m.add(&session{id: sessionID, clientID: clientID})
	} else if known.clientID != clientID {
		if m.byClient[known.clientID] == sessionID {
			delete(m.byClient, known.clientID)
		}
		known.clientID = clientID
	}
	if _, ok := m.byClient[clientID]; newest || !ok {
		m.byClient[clientID] = sessionID
	}
	return known == nil
}

// holds reports whether Attach would change nothing, which is the usual case and needs only the
// readers' lock.
func (m *Map) holds(clientID, sessionID string, newest bool) bool {
	defer m.mu.RLock(sessionID).RUnlock()
	current, ok := m.byClient[clientID]
	known := m.bySession[sessionID]
	return known != nil && known.clientID == clientID && ok && (!newest || current == sessionID)
}

// Refresh counts a read of the session, which is activity, and makes it the client's newest if the
// client has none. It returns false, and does nothing, if the session is not in the map.
func (m *Map) Refresh(clientID, sessionID string) bool {
	held := m.mu.RLock(sessionID)
	known := m.bySession[sessionID]
	_, current := m.byClient[clientID]
	held.RUnlock()
	if known == nil {
		return false
	}
	known.reads.Add(1)
	known.active(time.Now())
	if current {
		return true
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	known = m.bySession[sessionID]
	if known == nil {
		return false
	}
	if _, current = m.byClient[clientID]; !current && known.clientID == clientID {
		m.byClient[clientID] = sessionID
	}
	return true
}

// Detach removes the session and returns its client; "" if the session is not in the map.
func (m *Map) Detach(sessionID string) (clientID string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := m.bySession[sessionID]
	if known == nil {
		return ""
	}
	m.remove(known)
	return known.clientID
}

// Attached reports whether the session is in the map.
func (m *Map) Attached(sessionID string) bool {
	_, ok := m.ClientOf(sessionID)
	return ok
}

// WhileAttached calls fn if the session is in the map, and keeps it there until fn has returned: an
// event that fn enqueues precedes those after Detach. fn must neither block nor call the Map.
// userID is "" for a session without a login.
func (m *Map) WhileAttached(sessionID string, fn func(clientID, userID string)) {
	defer m.mu.RLock(sessionID).RUnlock()
	if known := m.bySession[sessionID]; known != nil {
		fn(known.clientID, known.userID)
	}
}

// SessionOf returns the client's newest session.
func (m *Map) SessionOf(clientID string) (sessionID string, ok bool) {
	defer m.mu.RLock(clientID).RUnlock()
	sessionID, ok = m.byClient[clientID]
	return sessionID, ok
}

// ClientOf returns the session's client.
func (m *Map) ClientOf(sessionID string) (clientID string, ok bool) {
	defer m.mu.RLock(sessionID).RUnlock()
	if known := m.bySession[sessionID]; known != nil {
		return known.clientID, true
	}
	return "", false
}

// Len returns the number of sessions.
func (m *Map) Len() int {
	defer m.mu.RLock("").RUnlock()
	return len(m.bySession)
}

// Sessions returns the IDs of all sessions, in no order.
func (m *Map) Sessions() []string {
	defer m.mu.RLock("").RUnlock()
	return slices.AppendSeq(make([]string, 0, len(m.bySession)), maps.Keys(m.bySession))
}

// SetDue sets the time, in whole seconds, from which on Due returns the session; the zero time is
// never. It does nothing if the session is not in the map.
func (m *Map) SetDue(sessionID string, at time.Time) {
	defer m.mu.RLock(sessionID).RUnlock()
	known := m.bySession[sessionID]
	switch {
	case known == nil:
	case at.IsZero():
		known.dueAt.Store(0)
	default:
		known.dueAt.Store(at.Unix())
	}
}

// Due returns the sessions whose time, set by SetDue, is before now.
func (m *Map) Due(now time.Time) (sessionIDs []string) {
	defer m.mu.RLock("").RUnlock()
	for id, known := range m.bySession {
		if at := known.dueAt.Load(); at != 0 && at < now.Unix() {
			sessionIDs = append(sessionIDs, id)
		}
	}
	return sessionIDs
}
