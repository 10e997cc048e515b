package clientmap

// ring limits the number of sessions by the CLOCK algorithm. Sessions of a store that many
// processes share may end without notice to this process, so the map can't rely on Detach. A hand
// goes round all sessions; one that has been read since the hand passed it last stays. So a read
// only increments a counter under the readers' lock.
type ring struct {
	max      int // 0: no limit
	usual    int // the hand moves from this number on; more are kept only if all that it meets have been read
	busy     func(sessionID string) bool
	sessions []*session
	hand     int
}

// maxSteps is how many sessions the hand passes at most when one is added.
const maxSteps = 16

func newRing(limit int, busy func(sessionID string) bool) ring {
	return ring{max: limit, usual: max(limit-limit/8, 1), busy: busy}
}

// add adds a session where the hand comes to it last. If there are enough sessions, it replaces one
// that has not been read for long. The lock is held.
func (m *Map) add(fresh *session) {
	r := &m.ring
	m.bySession[fresh.id] = fresh
	place := len(r.sessions)
	if r.max > 0 && place >= r.usual {
		place = m.makeRoom()
	}
	if place == len(r.sessions) {
		r.sessions = append(r.sessions, nil)
	}
	fresh.place, r.sessions[place] = place, fresh
}

// makeRoom returns the place of a session that it has dropped, or the one behind the last session
// if the hand has met none that may be dropped. It drops a second one if there are more than usual.
// The lock is held.
func (m *Map) makeRoom() (place int) {
	r := &m.ring
	var victims [2]*session
	var read *session // is dropped if there is no other and no room
	n := 0
	for range min(maxSteps, len(r.sessions)) {
		r.hand = (r.hand + 1) % len(r.sessions)
		s := r.sessions[r.hand]
		reads := s.reads.Load()
		switch {
		case r.busy(s.id):
		case reads != s.passed:
			s.passed = reads
			if read == nil {
				read = s
			}
		default:
			victims[n] = s
			n++
		}
		if n == 2 || n == 1 && len(r.sessions) <= r.usual {
			break
		}
	}
	if n == 2 {
		m.remove(victims[1])
	}
	victim := victims[0]
	if victim == nil && len(r.sessions) >= r.max {
		victim = read
	}
	if victim == nil {
		return len(r.sessions)
	}
	m.forget(victim)
	return victim.place
}

// forget removes the session from the map; the caller fills its place in the ring. The lock is
// held.
func (m *Map) forget(s *session) {
	delete(m.bySession, s.id)
	if m.byClient[s.clientID] == s.id {
		delete(m.byClient, s.clientID)
	}
}

// remove removes the session from the map and the ring. The lock is held.
func (m *Map) remove(s *session) {
	r := &m.ring
	last := len(r.sessions) - 1
	r.sessions[s.place] = r.sessions[last]
	r.sessions[s.place].place = s.place
	r.sessions[last] = nil
	r.sessions = r.sessions[:last]
	m.forget(s)
}
