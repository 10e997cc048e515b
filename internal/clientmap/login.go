package clientmap

// SetLogin sets who is logged in to the session, unless the map has a login of the same or a later
// generation: each login of a session has a higher one than those before. It returns the user of
// the login before, and whether the map has changed.
func (m *Map) SetLogin(sessionID, userID string, generation uint64) (prevUserID string, changed bool) {
	if !m.LoginIsNew(sessionID, generation) {
		return "", false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	known := m.bySession[sessionID]
	if known == nil || known.login >= generation {
		return "", false
	}
	prevUserID = known.userID
	known.userID, known.login = userID, generation
	return prevUserID, true
}

// LoginIsNew reports whether the session is in the map, without a login of that generation or a
// later one. Generation 0 is no login.
func (m *Map) LoginIsNew(sessionID string, generation uint64) bool {
	if generation == 0 {
		return false
	}
	defer m.mu.RLock(sessionID).RUnlock()
	known := m.bySession[sessionID]
	return known != nil && known.login < generation
}

// UserOf returns the user of the session's last known login; "" if there is none.
func (m *Map) UserOf(sessionID string) string {
	defer m.mu.RLock(sessionID).RUnlock()
	if known := m.bySession[sessionID]; known != nil {
		return known.userID
	}
	return ""
}
