package bridge

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// clientMap is the in-memory map between clients and sessions. It knows the sessions that this process has seen in use and
// not yet seen end, as many as it may: see clientring.go.
type clientMap struct {
	mu        sync.RWMutex
	byClient  map[string]string        // client ID → the newest session ID
	bySession map[string]*knownSession // by session ID
	ring      clientRing
}

// knownSession is what the map knows of a session. The map's lock guards it, but for reads.
type knownSession struct {
	id       string
	clientID string
	userID   string        // see knownuser.go
	login    uint64        // likewise: the generation of the last login that is known; 0: none
	at       int           // in the ring
	passed   uint64        // reads when the ring came past it last
	lookAt   int64         // when to look whether it is still there, in Unix seconds; 0: never
	reads    atomic.Uint64 // how often it has been loaded for use
}

// newClientMap returns a map that forgets what hasn't been used for longest when it has more than most sessions, 0 being no limit, but none that is busy.
func newClientMap(most int, busy func(sessionID string) bool) *clientMap {
	return &clientMap{byClient: make(map[string]string), bySession: make(map[string]*knownSession), ring: clientRing{most: most, usual: max(most-most/8, 1), busy: busy}}
}

// attach maps the two to each other, and reports whether the session was not mapped before. A client's older session doesn't
// take the place of a newer one, newest does.
func (m *clientMap) attach(clientID, sessionID string, newest bool) bool {
	if m.holds(clientID, sessionID, newest) {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	known := m.bySession[sessionID]
	if known == nil {
		m.add(&knownSession{id: sessionID, clientID: clientID})
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

// holds reports whether attach would change nothing, as it is with most commits: those needn't wait for one another.
func (m *clientMap) holds(clientID, sessionID string, newest bool) bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	current, ok := m.byClient[clientID]
	known := m.bySession[sessionID]
	return known != nil && known.clientID == clientID && ok && (!newest || current == sessionID)
}

// refresh is attach for a session that has been loaded for use, and counts that: false, and nothing is done, when it is not mapped, or not any more.
func (m *clientMap) refresh(clientID, sessionID string) bool {
	m.mu.RLock()
	session := m.bySession[sessionID]
	_, current := m.byClient[clientID]
	m.mu.RUnlock()
	known := session != nil
	if known {
		session.reads.Add(1)
	}
	if !known || current {
		return known
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, known = m.bySession[sessionID]; known {
		if _, current = m.byClient[clientID]; !current {
			m.byClient[clientID] = sessionID
		}
	}
	return known
}

func (m *clientMap) attached(sessionID string) bool {
	_, ok := m.clientOf(sessionID)
	return ok
}

// detach forgets the session and returns its client.
func (m *clientMap) detach(sessionID string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := m.bySession[sessionID]
	if known == nil {
		return ""
	}
	m.remove(known)
	return known.clientID
}

func (m *clientMap) sessionOf(clientID string) (string, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	id, ok := m.byClient[clientID]
	return id, ok
}

func (m *clientMap) clientOf(sessionID string) (string, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if known := m.bySession[sessionID]; known != nil {
		return known.clientID, true
	}
	return "", false
}

// used counts that the session has been loaded for use, if it is mapped.
func (m *clientMap) used(sessionID string) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if known := m.bySession[sessionID]; known != nil {
		known.reads.Add(1)
	}
}

func (m *clientMap) reads(sessionID string) uint64 {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if known := m.bySession[sessionID]; known != nil {
		return known.reads.Load()
	}
	return 0
}

// readsOf is reads for the client's newest session.
func (m *clientMap) readsOf(clientID string) uint64 {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if known := m.bySession[m.byClient[clientID]]; known != nil {
		return known.reads.Load()
	}
	return 0
}

func (m *clientMap) count() int {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return len(m.bySession)
}

func (m *clientMap) sessions() []string {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return slices.AppendSeq(make([]string, 0, len(m.bySession)), maps.Keys(m.bySession))
}

// lookAt notes when to look whether a session is still there: where nobody sweeps, or somebody else does, nothing else would tell.
func (m *clientMap) lookAt(sessionID string, at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := m.bySession[sessionID]
	switch {
	case known == nil:
	case at.IsZero():
		known.lookAt = 0
	default:
		known.lookAt = at.Unix()
	}
}

// due returns the sessions to look at.
func (m *clientMap) due(now time.Time) []string {
	m.mu.RLock()
	defer m.mu.RUnlock()
	var ids []string
	for id, known := range m.bySession {
		if known.lookAt != 0 && known.lookAt < now.Unix() {
			ids = append(ids, id)
		}
	}
	return ids
}
