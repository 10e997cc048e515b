package clientmap

// CountRead counts that the session has been loaded for use, if it is in the map.
func (m *Map) CountRead(sessionID string) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if known := m.bySession[sessionID]; known != nil {
		known.reads.Add(1)
	}
}

// Reads returns how often the session has been loaded for use since it was added; 0 if it is not in
// the map.
func (m *Map) Reads(sessionID string) uint64 {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if known := m.bySession[sessionID]; known != nil {
		return known.reads.Load()
	}
	return 0
}

// ReadsOfClient returns the Reads of the client's newest session.
func (m *Map) ReadsOfClient(clientID string) uint64 {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if known := m.bySession[m.byClient[clientID]]; known != nil {
		return known.reads.Load()
	}
	return 0
}
