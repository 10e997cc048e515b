package bridge

// defaultKnownSessions is as many as take about 25 MB.
const defaultKnownSessions = 100_000

// clientRing bounds the map of clients: where sessions live in a store of many processes nothing
// tells this one of each that ends, and clients come and go. It is a clock: a hand goes round all
// known sessions, and one that has been used since the hand came past it last gets a second chance.
// So to use a session costs the map no more than it did, a counter under a lock that readers share.
type clientRing struct {
	most  int // 0: no limit
	usual int // from how many on the hand moves; the rest is for when it meets none for a while but those that have been used
	busy  func(sessionID string) bool
	known []*knownSession
	hand  int
}

// ringLooks is how many sessions the hand passes for one that is added, at most.
const ringLooks = 16

// add needs the lock. The new session takes the place of one that hasn't been used for long, if
// there are enough: the hand comes to it last.
func (m *clientMap) add(fresh *knownSession) {
	r := &m.ring
	m.bySession[fresh.id] = fresh
	at := len(r.known)
	if r.most > 0 && at >= r.usual {
		at = m.makeRoom()
	}
	if at == len(r.known) {
		r.known = append(r.known, nil)
	}
	fresh.at, r.known[at] = at, fresh
}

// makeRoom returns the place of a session that it has removed, or one behind the others if the hand
// has met none that may go. It removes one more when there are more than usual.
func (m *clientMap) makeRoom() (place int) {
	r := &m.ring
	var victims [2]*knownSession
	var used *knownSession // goes if there is no other, and no room
	n := 0
	for range min(ringLooks, len(r.known)) {
		r.hand = (r.hand + 1) % len(r.known)
		k := r.known[r.hand]
		reads := k.reads.Load()
		switch {
		case r.busy(k.id):
		case reads != k.passed:
			k.passed = reads
			if used == nil {
				used = k
			}
		default:
			victims[n] = k
			n++
		}
		if n == 2 || n == 1 && len(r.known) <= r.usual {
			break
		}
	}
	if n == 2 {
		m.remove(victims[1])
	}
	victim := victims[0]
	if victim == nil && len(r.known) >= r.most {
		victim = used
	}
	if victim == nil {
		return len(r.known)
	}
	m.forget(victim)
	return victim.at
}

// forget needs the lock. The session's place in the ring becomes another's.
func (m *clientMap) forget(k *knownSession) {
	delete(m.bySession, k.id)
	if m.byClient[k.clientID] == k.id {
		delete(m.byClient, k.clientID)
	}
}

// remove needs the lock.
func (m *clientMap) remove(k *knownSession) {
	r := &m.ring
	last := len(r.known) - 1
	r.known[k.at] = r.known[last]
	r.known[k.at].at = k.at
	r.known[last] = nil
	r.known = r.known[:last]
	m.forget(k)
}
