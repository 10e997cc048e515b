package bridge

import (
	"sync"
	"time"

	"github.com/sessionbridge/sessionbridge/store"
)

// A login overtakes the requests of its client that were under way. A client is named by a cookie
// that proves nothing (G10): a stranger who has a copy of it can log in again and again, as
// themselves, and must not be able to keep its owner from ever logging in. So of a client only so
// many logins that overtake something count. However many requests one login overtakes, it is one.
const (
	overtakesInARow  = 8
	overtakesEvery   = 2 * time.Minute
	mostOvertakeable = 4096
)

// overtakes has what is left for each client of which a login has overtaken something lately.
type overtakes struct {
	mu sync.Mutex
	by map[string]*overtake
}

type overtake struct {
	allowance

	// The last login that was asked about, and whether it counts.
	id     string
	began  time.Time
	counts bool
}

// counts reports whether the client's login, which has overtaken something, is to count.
func (o *overtakes) counts(clientID string, login *store.Record) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	c, now := o.by[clientID], time.Now()
	if c == nil {
		o.makeRoom(now)
		c = &overtake{}
		o.by[clientID] = c
	}
	if c.id == login.ID && c.began.Equal(login.Began()) {
		return c.counts
	}
	c.id, c.began = login.ID, login.Began()
	c.counts = c.take(now, overtakesInARow, overtakesEvery)
	return c.counts
}

// makeRoom forgets clients that have their whole allowance again; if that are none, any.
func (o *overtakes) makeRoom(now time.Time) {
	if o.by == nil {
		o.by = make(map[string]*overtake)
	}
	if len(o.by) < mostOvertakeable {
		return
	}
	for id, c := range o.by {
		if now.Sub(c.at) > overtakesInARow*overtakesEvery {
			delete(o.by, id)
		}
	}
	for id := range o.by {
		if len(o.by) < mostOvertakeable {
			return
		}
		delete(o.by, id)
	}
}
