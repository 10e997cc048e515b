package cluster

import "sync"

const (
	// maxRecent is how many clients without connections a node subscribes to.
	maxRecent = 10_000
	// secondChances is how many clients in a row keep their place because they have been used.
	secondChances = 16
)

// recent has the clients that were seen last, in a ring. A client that has been used since the ring
// came past it keeps its place.
type recent struct {
	mu    sync.Mutex
	known map[string]struct{}
	ring  []recentClient
	next  int
}

// recentClient is a client, and how often its session had been used when the ring came past it.
type recentClient struct {
	id   string
	used uint64
}

// add returns the client that loses its place to this one, if any; false if it is there already.
func (r *recent) add(clientID string, used func(clientID string) uint64) (gone string, added bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.known[clientID]; ok {
		return "", false
	}
	if r.known == nil {
		r.known = make(map[string]struct{})
	}
	r.known[clientID] = struct{}{}
	fresh := recentClient{clientID, used(clientID)}
	if len(r.ring) < maxRecent {
		r.ring = append(r.ring, fresh)
		return "", true
	}
	for range secondChances {
		old := &r.ring[r.next]
		n := used(old.id)
		if n == old.used {
			break
		}
		old.used = n
		r.next = (r.next + 1) % maxRecent
	}
	gone, r.ring[r.next] = r.ring[r.next].id, fresh
	r.next = (r.next + 1) % maxRecent
	delete(r.known, gone)
	return gone, true
}
