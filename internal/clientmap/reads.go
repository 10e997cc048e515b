package clientmap

import "time"

// CountRead counts that the session has been loaded for use, if it is in the map. activeAt is when,
// if the use is activity of the client, and otherwise the zero time.
func (m *Map) CountRead(sessionID string, activeAt time.Time) {
	defer m.mu.RLock(sessionID).RUnlock()
	if known := m.bySession[sessionID]; known != nil {
		known.reads.Add(1)
		known.active(activeAt)
	}
}

// Active records activity of the session's client at a time, if the session is in the map.
func (m *Map) Active(sessionID string, at time.Time) {
	defer m.mu.RLock(sessionID).RUnlock()
	if known := m.bySession[sessionID]; known != nil {
		known.active(at)
	}
}

func (s *session) active(at time.Time) {
	for {
		last := s.activeAt.Load()
		if at.UnixMilli() <= last || s.activeAt.CompareAndSwap(last, at.UnixMilli()) {
			return
		}
	}
}

// ActiveSince calls each with the sessions that have been active at or after since, and when, in
// whole milliseconds. each must not block and not call the Map.
func (m *Map) ActiveSince(since time.Time, each func(sessionID string, at time.Time)) {
	defer m.mu.RLock("").RUnlock()
	for id, known := range m.bySession {
		if at := known.activeAt.Load(); at != 0 && at >= since.UnixMilli() {
			each(id, time.UnixMilli(at))
		}
	}
}

// Reads returns how often the session has been loaded for use since it was added; 0 if it is not in
// the map.
func (m *Map) Reads(sessionID string) uint64 {
	defer m.mu.RLock(sessionID).RUnlock()
	if known := m.bySession[sessionID]; known != nil {
		return known.reads.Load()
	}
	return 0
}

// ReadsOfClient returns the Reads of the client's newest session.
func (m *Map) ReadsOfClient(clientID string) uint64 {
	defer m.mu.RLock(clientID).RUnlock()
	if known := m.bySession[m.byClient[clientID]]; known != nil {
		return known.reads.Load()
	}
	return 0
}
