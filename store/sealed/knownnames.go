package sealed

import (
	"hash/maphash"
	"sync/atomic"
)

// knownSlots is how many records' names are remembered at most, in 64 KiB. A power of two, and far more than
// the sessions that are in use at a time: two of these in one slot would be computed again and again.
const knownSlots = 1 << 13

// knownNames remembers the names in records that were opened or stored lately, because to store a
// record again would compute both of its names again. It takes no lock.
type knownNames struct {
	seed  maphash.Seed
	slots [knownSlots]atomic.Pointer[recordNames]
}

// recordNames are the names of a client and a user under the first key, and what they stand for.
type recordNames struct {
	app, clientID, userID string
	client, user          string
}

// of returns the names, which k computes if they are not known.
func (n *knownNames) of(k *key, app, clientID, userID string) (client, user string) {
	slot := n.slot(app, clientID, userID)
	if known := slot.Load(); known.stands(app, clientID, userID) {
		return known.client, known.user
	}
	client, user = k.names(app, clientID, userID)
	slot.Store(&recordNames{app, clientID, userID, client, user})
	return client, user
}

// learn remembers the names of a record that has been opened.
func (n *knownNames) learn(app, clientID, userID, client, user string) {
	slot := n.slot(app, clientID, userID)
	if known := slot.Load(); !known.stands(app, clientID, userID) {
		slot.Store(&recordNames{app, clientID, userID, client, user})
	}
}

func (n *knownNames) slot(app, clientID, userID string) *atomic.Pointer[recordNames] {
	h := maphash.String(n.seed, app) ^ 3*maphash.String(n.seed, clientID) ^ 5*maphash.String(n.seed, userID)
	return &n.slots[h%knownSlots]
}

// stands reports whether the names stand for these IDs.
func (n *recordNames) stands(app, clientID, userID string) bool {
	return n != nil && n.clientID == clientID && n.userID == userID && n.app == app
}
