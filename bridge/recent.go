package bridge

import "sync"

// knownClients is how many clients without connections the node holds: those that it has seen last. Logins elsewhere change the map for these.
const knownClients = 10_000

// recent is the clients that the node holds because it has seen them lately.
type recent struct {
	mu    sync.Mutex
	held  map[string]struct{}
	order []recentClient // a ring
	next  int
}

// recentClient is a client, and how often its session had been used when the ring came past it last.
type recentClient struct {
	id   string
	used uint64
}

// secondChances is how many clients that have been used since the ring came past them are left where they are, for one that goes.
const secondChances = 16

// add returns the client that has to go for it, if any; false when it is there already. used tells how often a client's session has been used.
func (r *recent) add(clientID string, used func(clientID string) uint64) (gone string, added bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.held[clientID]; ok {
		return "", false
	}
	if r.held == nil {
		r.held = make(map[string]struct{})
	}
	r.held[clientID] = struct{}{}
	fresh := recentClient{clientID, used(clientID)}
	if len(r.order) < knownClients {
		r.order = append(r.order, fresh)
		return "", true
	}
	for range secondChances {
		old := &r.order[r.next]
		n := used(old.id)
		if n == old.used {
			break
		}
		old.used = n
		r.next = (r.next + 1) % knownClients
	}
	gone, r.order[r.next] = r.order[r.next].id, fresh
	r.next = (r.next + 1) % knownClients
	delete(r.held, gone)
	return gone, true
}

// seen has the node hold the client for a while, soon.
func (c *cluster) seen(clientID string) {
	if c == nil {
		return
	}
	gone, added := c.recent.add(clientID, c.b.clients.ReadsOfClient)
	if gone != "" {
		c.holding.drop(holdKey{true, gone})
	}
	if added {
		key := holdKey{true, clientID}
		c.holding.want(key)
		c.holding.soon(key)
	}
}
