package logins

import (
	"sync"
	"time"

	"github.com/sessionbridge/sessionbridge/internal/allowance"
	"github.com/sessionbridge/sessionbridge/store"
)

// Overtakes decides which logins turn away the other requests of their client that were under way.
//
// A client is named by a cookie that proves nothing: a stranger who has a copy of it can log in
// again and again, as themselves, and must not keep its owner from ever logging in. So only some
// logins of a client count. A login counts once, however many requests it overtakes. It is safe for
// concurrent use.
type Overtakes struct {
	mu       sync.Mutex
	byClient *allowance.Table[overtake]
}

// overtakeRate limits the logins of a client that count.
var overtakeRate = allowance.Rate{InARow: 8, Every: 2 * time.Minute}

// overtake is what is left for a client, and the decision about its last login.
type overtake struct {
	left   allowance.Allowance
	id     string // of the session
	began  time.Time
	counts bool
}

// NewOvertakes returns Overtakes in which every client has the whole allowance.
func NewOvertakes() *Overtakes {
	return &Overtakes{byClient: allowance.NewTable(func(o *overtake, now time.Time) bool {
		return o.left.Whole(now, overtakeRate)
	})}
}

// Counts reports whether the client's login to the session, which has overtaken a request, counts.
func (o *Overtakes) Counts(clientID string, login *store.Record) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	c := o.byClient.Of(clientID, now)
	if c.id != login.ID || !c.began.Equal(login.Began()) {
		c.id, c.began = login.ID, login.Began()
		c.counts = c.left.Take(now, overtakeRate)
	}
	return c.counts
}
