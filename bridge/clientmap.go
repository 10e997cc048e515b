package bridge

import (
	"sync"
	"time"
)

// clientMap is the in-memory map between clients and sessions. It knows the sessions that this process has seen in use and
// not yet seen end.
type clientMap struct {
	mu        sync.RWMutex
	byClient  map[string]string // client ID → the newest session ID
	bySession map[string]string // session ID → client ID
	expires   map[string]int64  // session ID → when to look whether it is still there, in Unix seconds
}

func newClientMap() *clientMap {
	return &clientMap{byClient: make(map[string]string), bySession: make(map[string]string), expires: make(map[string]int64)}
}

// attach maps the two to each other, and reports whether the session was not mapped before. A client's older session doesn't
// take the place of a newer one, newest does.
func (m *clientMap) attach(clientID, sessionID string, newest bool) bool {
	if m.holds(clientID, sessionID, newest) {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	_, known := m.bySession[sessionID]
	m.bySession[sessionID] = clientID
	if _, ok := m.byClient[clientID]; newest || !ok {
		m.byClient[clientID] = sessionID
	}
	return !known
}

// holds reports whether attach would change nothing, as it is with most commits: those needn't wait for one another.
func (m *clientMap) holds(clientID, sessionID string, newest bool) bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	current, ok := m.byClient[clientID]
	return m.bySession[sessionID] == clientID && ok && (!newest || current == sessionID)
}

// refresh is attach for a session that is in use: false, and nothing is done, when it is not mapped, or not any more.
func (m *clientMap) refresh(clientID, sessionID string) bool {
	m.mu.RLock()
	_, known := m.bySession[sessionID]
	_, current := m.byClient[clientID]
	m.mu.RUnlock()
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
	clientID := m.bySession[sessionID]
	delete(m.bySession, sessionID)
	delete(m.expires, sessionID)
	if m.byClient[clientID] == sessionID {
		delete(m.byClient, clientID)
	}
	return clientID
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
	id, ok := m.bySession[sessionID]
	return id, ok
}

func (m *clientMap) count() int {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return len(m.bySession)
}

// lookAt notes when to look whether a session is still there: where nobody sweeps, or somebody else does, nothing else would tell.
func (m *clientMap) lookAt(sessionID string, at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.bySession[sessionID]; !ok {
		return
	}
	if at.IsZero() {
		delete(m.expires, sessionID)
		return
	}
	m.expires[sessionID] = at.Unix()
}

// due returns the sessions to look at.
func (m *clientMap) due(now time.Time) []string {
	m.mu.RLock()
	defer m.mu.RUnlock()
	var ids []string
	for id, at := range m.expires {
		if at < now.Unix() {
			ids = append(ids, id)
		}
	}
	return ids
}
